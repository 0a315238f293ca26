#pragma once

#include "kernels/types.hpp"

namespace attn::kernels {

// The families' functions on the caller's thread; a version at every level. The backward passes
// write the sums over their own rows to dgamma and dbeta, which are both null where neither is
// wanted.

template <class T>
using LayerNorm = void (*)(index_t rows, index_t cols, T eps, const T* x, const T* gamma,
                           const T* beta, T* y, T* mean, T* rstd);
template <class T>
using LayerNormBackward = void (*)(index_t rows, index_t cols, const T* x, const T* gamma,
                                   const T* mean, const T* rstd, const T* dy, T* dx, T* dgamma,
                                   T* dbeta);
template <class T>
using RmsNorm = void (*)(index_t rows, index_t cols, T eps, const T* x, const T* gamma, T* y,
                         T* rstd);
template <class T>
using RmsNormBackward = void (*)(index_t rows, index_t cols, const T* x, const T* gamma,
                                 const T* rstd, const T* dy, T* dx, T* dgamma);

namespace scalar {
template <class T>
void layer_norm(index_t rows, index_t cols, T eps, const T* x, const T* gamma, const T* beta, T* y,
                T* mean, T* rstd);
template <class T>
void layer_norm_backward(index_t rows, index_t cols, const T* x, const T* gamma, const T* mean,
                         const T* rstd, const T* dy, T* dx, T* dgamma, T* dbeta);
template <class T>
void rms_norm(index_t rows, index_t cols, T eps, const T* x, const T* gamma, T* y, T* rstd);
template <class T>
void rms_norm_backward(index_t rows, index_t cols, const T* x, const T* gamma, const T* rstd,
                       const T* dy, T* dx, T* dgamma);
}  // namespace scalar
namespace avx2 {
void layer_norm(index_t rows, index_t cols, float eps, const float* x, const float* gamma,
                const float* beta, float* y, float* mean, float* rstd);
void layer_norm_backward(index_t rows, index_t cols, const float* x, const float* gamma,
                         const float* mean, const float* rstd, const float* dy, float* dx,
                         float* dgamma, float* dbeta);
void rms_norm(index_t rows, index_t cols, float eps, const float* x, const float* gamma, float* y,
              float* rstd);
void rms_norm_backward(index_t rows, index_t cols, const float* x, const float* gamma,
                       const float* rstd, const float* dy, float* dx, float* dgamma);
}  // namespace avx2
namespace avx512 {
void layer_norm(index_t rows, index_t cols, float eps, const float* x, const float* gamma,
                const float* beta, float* y, float* mean, float* rstd);
void layer_norm_backward(index_t rows, index_t cols, const float* x, const float* gamma,
                         const float* mean, const float* rstd, const float* dy, float* dx,
                         float* dgamma, float* dbeta);
void rms_norm(index_t rows, index_t cols, float eps, const float* x, const float* gamma, float* y,
              float* rstd);
void rms_norm_backward(index_t rows, index_t cols, const float* x, const float* gamma,
                       const float* rstd, const float* dy, float* dx, float* dgamma);
}  // namespace avx512

}  // namespace attn::kernels
