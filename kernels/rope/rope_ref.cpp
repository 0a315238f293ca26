#include "kernels/rope/rope_levels.hpp"

#include <algorithm>

namespace attn::kernels::scalar {

template <class T>
void rope(const RopeArgs<T>& a, index_t begin, index_t end) {
  const bool half = a.layout == RopeLayout::half;
  const index_t pairs = a.rotary / 2, width = a.heads * a.head_dim;
  for (index_t t = begin; t < end; ++t) {
    const T* const cosines = a.table + t * 2 * a.rotary;
    const T* const sines = cosines + a.rotary;
    for (index_t h = 0; h < a.heads; ++h) {
      const T* const x = a.x + t * a.stride + h * a.head_dim;
      T* const y = a.y + t * width + h * a.head_dim;
      for (index_t p = 0; p < pairs; ++p) {
        const index_t i = half ? p : 2 * p, j = half ? p + pairs : 2 * p + 1;
        const T first = x[i], second = x[j];
        const T sine = a.inverse ? -sines[j] : sines[j];
        y[i] = first * cosines[i] - second * sine;
        y[j] = second * cosines[j] + first * sine;
      }
      if (x != y) std::copy(x + a.rotary, x + a.head_dim, y + a.rotary);
    }
  }
}

template void rope(const RopeArgs<float>&, index_t, index_t);
template void rope(const RopeArgs<double>&, index_t, index_t);

}  // namespace attn::kernels::scalar
