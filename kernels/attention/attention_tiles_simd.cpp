// Products of small tiles and the packing they need.

#include "kernels/attention/attention_tiles.hpp"
#include "kernels/transpose_simd.hpp"

namespace attn::kernels::ATTN_ISA_NS {
namespace {

using Tile = void (*)(index_t depth, Broadcast a, const float* b, index_t b_row, float* c,
                      index_t c_row, index_t last, const float* shrink);

template <int rows, int vectors>
void tile(index_t depth, Broadcast a, const float* b, index_t b_row, float* c, index_t c_row,
          index_t last, const float* shrink) {
  vf sums[rows][vectors];
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 8
    for (int n = 0; n < vectors; ++n) sums[r][n] = vf(0.0F);
  }
  if (shrink != nullptr) {
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 8
      for (int n = 0; n < vectors; ++n) {
        const float* at = c + r * c_row + n * lanes;
        const vf old =
            n + 1 < vectors || last == lanes ? vf::load_unaligned(at) : load_partial(at, last);
        sums[r][n] = old * vf(shrink[r]);
      }
    }
  }
  const float* left = a.data;
  for (index_t p = 0; p < depth; ++p, left += a.step, b += b_row) {
    vf right[vectors];
#pragma GCC unroll 8
    for (int n = 0; n < vectors; ++n) right[n] = vf::load_unaligned(b + n * lanes);
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      const vf factor(left[r * a.row]);
#pragma GCC unroll 8
      for (int n = 0; n < vectors; ++n) sums[r][n] = fused(factor, right[n], sums[r][n]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 8
    for (int n = 0; n < vectors; ++n) {
      float* at = c + r * c_row + n * lanes;
      if (n + 1 < vectors || last == lanes) {
        sums[r][n].store_unaligned(at);
      } else {
        store_partial(at, last, sums[r][n]);
      }
    }
  }
}

#if defined(ATTN_ISA_avx512)
constexpr Tile tiles[tile_rows][tile_vectors] = {{tile<1, 1>, tile<1, 2>, tile<1, 3>, tile<1, 4>},
                                                 {tile<2, 1>, tile<2, 2>, tile<2, 3>, tile<2, 4>},
                                                 {tile<3, 1>, tile<3, 2>, tile<3, 3>, tile<3, 4>},
                                                 {tile<4, 1>, tile<4, 2>, tile<4, 3>, tile<4, 4>},
                                                 {tile<5, 1>, tile<5, 2>, tile<5, 3>, tile<5, 4>},
                                                 {tile<6, 1>, tile<6, 2>, tile<6, 3>, tile<6, 4>}};
#else
constexpr Tile tiles[tile_rows][tile_vectors] = {
    {tile<1, 1>, tile<1, 2>}, {tile<2, 1>, tile<2, 2>}, {tile<3, 1>, tile<3, 2>},
    {tile<4, 1>, tile<4, 2>}, {tile<5, 1>, tile<5, 2>}, {tile<6, 1>, tile<6, 2>}};
#endif

vf load_up_to(const float* p, index_t count) {
  return count >= lanes ? vf::load_unaligned(p) : load_partial(p, count);
}

}  // namespace

void multiply(index_t rows, index_t columns, index_t depth, Broadcast a, const float* b,
              index_t b_row, float* c, index_t c_row, const float* shrink) {
  for (index_t n = 0; n < columns; n += tile_columns) {
    const index_t wide = least(tile_columns, columns - n), vectors = (wide + lanes - 1) / lanes;
    const index_t last = wide - (vectors - 1) * lanes;
    for (index_t r = 0; r < rows; r += tile_rows) {
      tiles[least(tile_rows, rows - r) - 1][vectors - 1](
          depth, {a.data + r * a.row, a.row, a.step}, b + n, b_row, c + r * c_row + n, c_row, last,
          shrink == nullptr ? nullptr : shrink + r);
    }
  }
}

void pack_transposed(index_t count, index_t dim, float scale, const float* from, index_t from_row,
                     float* to, index_t to_row) {
  for (index_t j = 0; j < count; j += lanes) {
    const index_t rows = least(lanes, count - j);
    for (index_t d = 0; d < dim; d += lanes) {
      const index_t cols = least(lanes, dim - d);
      Register x[lanes];
      for (index_t r = 0; r < lanes; ++r) {
        x[r] = r < rows ? load_up_to(from + (j + r) * from_row + d, cols) : vf(0.0F);
      }
      transpose(x);
      for (index_t r = 0; r < cols; ++r)
        (vf(x[r]) * vf(scale)).store_unaligned(to + (d + r) * to_row + j);
    }
  }
}

void pack_rows(index_t count, index_t dim, float scale, const float* from, index_t from_row,
               float* to) {
  const index_t to_row = whole_vectors(dim);
  for (index_t j = 0; j < count; ++j) {
    for (index_t d = 0; d < dim; d += lanes) {
      const vf x = load_up_to(from + j * from_row + d, dim - d) * vf(scale);
      x.store_unaligned(to + j * to_row + d);
    }
  }
}

}  // namespace attn::kernels::ATTN_ISA_NS
