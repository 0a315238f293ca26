#pragma once

#include "kernels/types.hpp"

namespace attn::kernels {

/// y[r] = Σ_c x[r, c] or max_c x[r, c] on the caller's thread; a version at every level.
template <class T>
using ReduceRows = void (*)(index_t rows, index_t cols, const T* x, T* y);

/// y[c] = Σ_r x[r · stride + c] for c < cols ≤ column_tile, on the caller's thread.
template <class T>
using SumColumns = void (*)(index_t rows, index_t cols, const T* x, index_t stride, T* y);

/// 4 KiB of float sums, which stay in the L1 cache while rows stream past.
inline constexpr index_t column_tile = 1024;

template <class T>
using Dot = T (*)(index_t n, const T* x, const T* w);

/// Σ x² in float64 on the caller's thread.
template <class T>
using SquaredNorm = double (*)(index_t n, const T* x);

namespace scalar {
template <class T>
double squared_norm(index_t n, const T* x);
template <class T>
void sum_rows(index_t rows, index_t cols, const T* x, T* y);
template <class T>
void max_rows(index_t rows, index_t cols, const T* x, T* y);
template <class T>
void sum_columns(index_t rows, index_t cols, const T* x, index_t stride, T* y);
template <class T>
T dot(index_t n, const T* x, const T* w);
}  // namespace scalar
namespace avx2 {
void sum_rows(index_t rows, index_t cols, const float* x, float* y);
void max_rows(index_t rows, index_t cols, const float* x, float* y);
void sum_columns(index_t rows, index_t cols, const float* x, index_t stride, float* y);
float dot(index_t n, const float* x, const float* w);
double squared_norm(index_t n, const float* x);
}  // namespace avx2
namespace avx512 {
void sum_rows(index_t rows, index_t cols, const float* x, float* y);
void max_rows(index_t rows, index_t cols, const float* x, float* y);
void sum_columns(index_t rows, index_t cols, const float* x, index_t stride, float* y);
float dot(index_t n, const float* x, const float* w);
double squared_norm(index_t n, const float* x);
}  // namespace avx512

}  // namespace attn::kernels
