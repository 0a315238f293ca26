#pragma once

#include "kernels/isa.hpp"
#include "kernels/workers.hpp"

namespace attn::kernels {

/// Reductions over the last dimension of contiguous x [rows, cols] into y [rows]. Sums of floats
/// are taken in several lanes and pairwise blocks fixed by cols alone, so error grows with
/// log(cols). max of no elements is −inf, sum 0, mean NaN; the max of a row that holds a NaN is
/// NaN.
enum class Reduce { sum, mean, max };

template <class T>
void reduce_rows(Isa isa, Workers& workers, Reduce op, index_t rows, index_t cols, const T* x,
                 T* y);

/// Reductions over the first dimension: y[c] = Σ_r x[r, c] (a bias gradient). y is overwritten.
/// Row r of x begins at x + r · stride_x.
template <class T>
void sum_columns(Isa isa, Workers& workers, index_t rows, index_t cols, const T* x,
                 index_t stride_x, T* y);

/// Σ_i x[i] · w[i].
template <class T>
[[nodiscard]] T dot(Isa isa, index_t n, const T* x, const T* w);

}  // namespace attn::kernels
