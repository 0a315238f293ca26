#include "kernels/optim/adam_levels.hpp"

#include <cmath>

namespace attn::kernels::scalar {

template <class T>
void adam_update(index_t n, const AdamCoefficients<T>& c, T* p, T* m, T* v, const T* g) {
  for (index_t i = 0; i < n; ++i) {
    const T scaled = g[i] * c.gradient_scale;
    m[i] += (scaled - m[i]) * c.one_minus_beta1;
    v[i] = c.beta2 * v[i] + c.one_minus_beta2 * (scaled * scaled);
    p[i] = p[i] * c.decay - c.step_size * (m[i] / (std::sqrt(v[i]) / c.sqrt_bias2 + c.eps));
  }
}

template void adam_update(index_t, const AdamCoefficients<float>&, float*, float*, float*,
                          const float*);
template void adam_update(index_t, const AdamCoefficients<double>&, double*, double*, double*,
                          const double*);

}  // namespace attn::kernels::scalar
