#pragma once

#include "kernels/matmul/matmul.hpp"
#include "kernels/tiles/pairs.hpp"

#include <cstdint>

// How operands become pairs of bfloat16 along k, for avx512_dot::multiply_pairs and amx's
// (kernels/tiles/tiles_levels.hpp): on CPUs with dot products of bfloat16.

namespace attn::kernels::avx512_dot {

/// Up to 16 rows of A [rows, k] rounded to bfloat16, row i at to + i · to_row; numbers from k to a
/// whole 32 are 0. One of A's strides is 1.
void round_rows(const MatrixView<float>& a, index_t rows, index_t k, std::uint16_t* to,
                index_t to_row);

/// The panel of B [k, columns], columns ≤ 32. One of B's strides is 1. `to` is 64-byte aligned.
void pack_pairs(const MatrixView<float>& b, index_t k, index_t columns, std::uint16_t* to);

/// The panel of the columns [from, from + columns), of k rows of stored weights that are
/// `row` bytes apart; from is a multiple of 32, and rows are whole blocks.
void pack_stored_pairs(WeightType type, const unsigned char* rows, index_t row, index_t k,
                       index_t from, index_t columns, std::uint16_t* to);

}  // namespace attn::kernels::avx512_dot
