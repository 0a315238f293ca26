#include "kernels/matmul/matmul_levels.hpp"
#include "kernels/simd.hpp"
#include "kernels/transpose_simd.hpp"

namespace attn::kernels::ATTN_ISA_NS {
namespace {

// Rows of B as they stand, every panel's piece of a row before the next row: whole rows are read,
// which memory gives faster than two lines from each.
void pack_rows(index_t k, index_t columns, const MatrixView<float>& b, float* panels) {
  const index_t full = columns / (2 * lanes) * (2 * lanes), rest = columns - full;
  for (index_t i = 0; i < k; ++i) {
    const float* from = b.data + i * b.row_stride;
    float* to = panels + i * 2 * lanes;
    for (index_t j = 0; j < full; j += 2 * lanes) {
      const vf first = vf::load_unaligned(from + j), second = vf::load_unaligned(from + j + lanes);
      first.store_unaligned(to);
      second.store_unaligned(to + lanes);
      to += k * 2 * lanes;
    }
    if (rest == 0) continue;
    const bool both = rest >= lanes;
    const vf first = both ? vf::load_unaligned(from + full) : load_partial(from + full, rest);
    const vf second = rest > lanes ? load_partial(from + full + lanes, rest - lanes) : vf(0.0F);
    first.store_unaligned(to);
    second.store_unaligned(to + lanes);
  }
}

void pack_elements(index_t from_k, index_t k, index_t from_column, index_t columns,
                   const MatrixView<float>& b, float* panel) {
  for (index_t i = from_k; i < k; ++i) {
    const float* from = b.data + i * b.row_stride;
    float* to = panel + i * 2 * lanes;
    for (index_t j = from_column; j < 2 * lanes; ++j) {
      to[j] = j < columns ? from[j * b.col_stride] : 0.0F;
    }
  }
}

// Columns of B that are contiguous, a square at a time.
void pack_columns(index_t k, index_t columns, const MatrixView<float>& b, float* panel) {
  const index_t squares_k = k / lanes * lanes, squares_columns = columns / lanes * lanes;
  for (index_t j = 0; j < squares_columns; j += lanes) {
    for (index_t i = 0; i < squares_k; i += lanes) {
      const float* from = b.data + i + j * b.col_stride;
      float* to = panel + i * 2 * lanes + j;
      Register r[lanes];
#pragma GCC unroll 16
      for (index_t c = 0; c < lanes; ++c) r[c] = vf::load_unaligned(from + c * b.col_stride);
      transpose(r);
#pragma GCC unroll 16
      for (index_t c = 0; c < lanes; ++c) vf(r[c]).store_unaligned(to + c * 2 * lanes);
    }
  }
  pack_elements(0, squares_k, squares_columns, columns, b, panel);
  pack_elements(squares_k, k, 0, columns, b, panel);
}

}  // namespace

void matmul_pack(index_t k, index_t columns, const MatrixView<float>& b, float* panels) {
  if (b.col_stride == 1) return pack_rows(k, columns, b, panels);
  MatrixView<float> rest = b;
  for (index_t j = 0; j < columns; j += 2 * lanes) {
    const index_t of_panel = columns - j < 2 * lanes ? columns - j : 2 * lanes;
    if (b.row_stride == 1) {
      pack_columns(k, of_panel, rest, panels);
    } else {  // a single row, whose row stride says nothing
      pack_elements(0, k, 0, of_panel, rest, panels);
    }
    rest.data += 2 * lanes * b.col_stride;
    panels += 2 * lanes * k;
  }
}

}  // namespace attn::kernels::ATTN_ISA_NS
