#pragma once

#include "kernels/softmax/softmax.hpp"

namespace attn::kernels {

// The family's functions on the caller's thread, for rows [first, first + count) of the arguments;
// a version at every level.

template <class T>
using SoftmaxRows = void (*)(const SoftmaxArgs<T>& args, index_t first, index_t count);
template <class T>
using SoftmaxBackwardRows = void (*)(index_t rows, index_t cols, T scale, const T* y, const T* dy,
                                     T* dx);
/// One row of cross_entropy(): its loss.
template <class T>
using CrossEntropyRow = double (*)(index_t cols, index_t target, T scale, bool gradient, T* z);

/// The columns that a row sees.
template <class T>
constexpr index_t visible_columns(const SoftmaxArgs<T>& args, index_t row) {
  if (!args.causal) return args.cols;
  const index_t seen = row % args.causal_rows + args.causal_offset + 1;
  return seen < 0 ? 0 : (seen < args.cols ? seen : args.cols);
}

namespace scalar {
template <class T>
void softmax_rows(const SoftmaxArgs<T>& args, index_t first, index_t count);
template <class T>
void softmax_backward_rows(index_t rows, index_t cols, T scale, const T* y, const T* dy, T* dx);
template <class T>
double cross_entropy_row(index_t cols, index_t target, T scale, bool gradient, T* z);
}  // namespace scalar
namespace avx2 {
void softmax_rows(const SoftmaxArgs<float>& args, index_t first, index_t count);
void softmax_backward_rows(index_t rows, index_t cols, float scale, const float* y, const float* dy,
                           float* dx);
double cross_entropy_row(index_t cols, index_t target, float scale, bool gradient, float* z);
}  // namespace avx2
namespace avx512 {
void softmax_rows(const SoftmaxArgs<float>& args, index_t first, index_t count);
void softmax_backward_rows(index_t rows, index_t cols, float scale, const float* y, const float* dy,
                           float* dx);
double cross_entropy_row(index_t cols, index_t target, float scale, bool gradient, float* z);
}  // namespace avx512

}  // namespace attn::kernels
