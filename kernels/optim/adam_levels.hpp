#pragma once

#include "kernels/types.hpp"

namespace attn::kernels {

/// AdamArgs' scalars, made once a call, in the precision of the update.
template <class T>
struct AdamCoefficients {
  T decay, one_minus_beta1, beta2, one_minus_beta2, step_size, sqrt_bias2, eps, gradient_scale;
};

/// One update of n parameters on the caller's thread; a version at every level.
template <class T>
using AdamUpdate = void (*)(index_t n, const AdamCoefficients<T>& c, T* p, T* m, T* v, const T* g);

namespace scalar {
template <class T>
void adam_update(index_t n, const AdamCoefficients<T>& c, T* p, T* m, T* v, const T* g);
}
namespace avx2 {
void adam_update(index_t n, const AdamCoefficients<float>& c, float* p, float* m, float* v,
                 const float* g);
}
namespace avx512 {
void adam_update(index_t n, const AdamCoefficients<float>& c, float* p, float* m, float* v,
                 const float* g);
}

}  // namespace attn::kernels
