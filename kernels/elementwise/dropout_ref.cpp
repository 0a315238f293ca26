#include "kernels/elementwise/dropout_levels.hpp"

namespace attn::kernels::scalar {

template <class T>
void dropout(const DropoutKey& key, T scale, index_t n, const T* x, T* y) {
  for (index_t i = 0; i < n; ++i) {
    y[i] = is_kept(key, static_cast<std::uint32_t>(i)) ? x[i] * scale : T{0};
  }
}

template void dropout(const DropoutKey&, float, index_t, const float*, float*);
template void dropout(const DropoutKey&, double, index_t, const double*, double*);

}  // namespace attn::kernels::scalar
