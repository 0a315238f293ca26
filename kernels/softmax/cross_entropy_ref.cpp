#include "kernels/softmax/softmax_levels.hpp"

#include <cmath>
#include <limits>

namespace attn::kernels::scalar {

template <class T>
double cross_entropy_row(index_t cols, index_t target, T scale, bool gradient, T* z) {
  double largest = -std::numeric_limits<double>::infinity();
  for (index_t c = 0; c < cols; ++c) {
    if (static_cast<double>(z[c]) > largest) largest = static_cast<double>(z[c]);
  }
  double sum = 0;
  for (index_t c = 0; c < cols; ++c) sum += std::exp(static_cast<double>(z[c]) - largest);
  const double loss = largest - static_cast<double>(z[target]) + std::log(sum);
  if (gradient) {
    const auto factor = static_cast<double>(scale);
    for (index_t c = 0; c < cols; ++c) {
      const double p = std::exp(static_cast<double>(z[c]) - largest) / sum;
      z[c] = static_cast<T>(factor * (c == target ? p - 1 : p));
    }
  }
  return loss;
}

template double cross_entropy_row(index_t, index_t, float, bool, float*);
template double cross_entropy_row(index_t, index_t, double, bool, double*);

}  // namespace attn::kernels::scalar
