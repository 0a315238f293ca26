#pragma once

#include "kernels/isa.hpp"
#include "kernels/workers.hpp"

namespace attn::kernels {

/// Softmax over the last dimension of x [rows, cols]:
///   z[r, c] = scale · x[r, c] + mask[r mod mask_rows, c]   (mask only if not null)
///   y[r, c] = exp(z − max z) / Σ exp(z − max z)
/// With `causal`, row r sees only the columns c ≤ (r mod causal_rows) + causal_offset; the others
/// are exactly 0. A row that sees nothing (all masked by −inf or by causality, or cols = 0) is all
/// zeros. A NaN in a visible column makes the row NaN; +inf likewise. Error: ≤ 3 ULP of the largest
/// element and rows that sum to 1 within 4e-7 (float). A mask of
/// other numbers than 0 and −inf adds half an ulp of |mask − largest score| to an exponential's
/// error.
template <class T>
struct SoftmaxArgs {
  index_t rows = 0, cols = 0;
  index_t stride_x = 0, stride_y = 0;  ///< between rows; columns are contiguous
  const T* x = nullptr;
  T* y = nullptr;  ///< may be x with the same stride
  T scale = 1;
  const T* mask = nullptr;  ///< [mask_rows, cols], contiguous; mask_rows 1: the same for every row
  index_t mask_rows = 1;
  bool causal = false;
  index_t causal_rows = 1;  ///< rows of one sequence (a batch repeats them)
  index_t causal_offset = 0;
};

template <class T>
void softmax(Isa isa, Workers& workers, const SoftmaxArgs<T>& args);

/// dx[r, c] = scale · y[r, c] · (dy[r, c] − Σ_j y[r, j] dy[r, j]); contiguous [rows, cols].
/// dx may be dy. Masked columns have y = 0 and so get 0.
template <class T>
void softmax_backward(Isa isa, Workers& workers, index_t rows, index_t cols, T scale, const T* y,
                      const T* dy, T* dx);

}  // namespace attn::kernels
