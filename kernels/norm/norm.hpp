#pragma once

#include "kernels/isa.hpp"
#include "kernels/workers.hpp"

namespace attn::kernels {

/// Layer norm over the last dimension, y = (x − mean) · rstd · gamma + beta with
/// rstd = 1/√(var + eps), var the biased variance in two passes (Ba et al. 2016).
/// x, y contiguous [rows, cols]; gamma, beta [cols], each may be null (1 and 0).
/// mean, rstd: [rows], for the backward pass; may be null. y may be x. NMSE ≤ 1e-13 (float), also
/// where the mean dwarfs the deviations. A NaN or infinity makes its row NaN; where the squares of
/// the deviations overflow T, rstd is 0.
template <class T>
void layer_norm(Isa isa, Workers& workers, index_t rows, index_t cols, T eps, const T* x,
                const T* gamma, const T* beta, T* y, T* mean, T* rstd);

/// Gradients of layer_norm. dgamma and dbeta [cols] are overwritten, each may be null; dx may be
/// null, may be dy. The sums over rows are taken in blocks fixed by the shape; `scratch` holds
/// norm_backward_scratch(rows, cols) elements.
template <class T>
void layer_norm_backward(Isa isa, Workers& workers, index_t rows, index_t cols, const T* x,
                         const T* gamma, const T* mean, const T* rstd, const T* dy, T* dx,
                         T* dgamma, T* dbeta, T* scratch);

/// RMS norm, y = x · rstd · gamma with rstd = 1/√(mean(x²) + eps) (Zhang & Sennrich 2019).
/// Same conventions as layer_norm, but of a row with an infinity only that element becomes NaN, the
/// others 0.
template <class T>
void rms_norm(Isa isa, Workers& workers, index_t rows, index_t cols, T eps, const T* x,
              const T* gamma, T* y, T* rstd);

template <class T>
void rms_norm_backward(Isa isa, Workers& workers, index_t rows, index_t cols, const T* x,
                       const T* gamma, const T* rstd, const T* dy, T* dx, T* dgamma, T* scratch);

/// Elements of scratch that the backward passes need.
[[nodiscard]] index_t norm_backward_scratch(index_t rows, index_t cols) noexcept;

}  // namespace attn::kernels
