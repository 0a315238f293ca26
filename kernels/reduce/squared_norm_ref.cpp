#include "kernels/reduce/pairwise_sum.hpp"
#include "kernels/reduce/reduce_levels.hpp"

namespace attn::kernels::scalar {

template <class T>
double squared_norm(index_t n, const T* x) {
  return pairwise_sum<double>(0, n, [=](index_t i) {
    const auto v = static_cast<double>(x[i]);
    return v * v;
  });
}

template double squared_norm(index_t, const float*);
template double squared_norm(index_t, const double*);

}  // namespace attn::kernels::scalar
