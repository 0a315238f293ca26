#include "kernels/matmul/matmul_levels.hpp"
#include "kernels/simd.hpp"

namespace attn::kernels::ATTN_ISA_NS {
namespace {

// Rows of a register tile. avx512: 12 × 2 sums, 2 vectors of B and 1 of A in 32 registers; 14 rows
// would fit, but 12 divide more of the usual sizes. avx2: 6 × 2 sums in 16 registers. Both keep
// more than the 8 sums in flight that two units with a latency of 4 cycles need.
#if defined(ATTN_ISA_avx512)
constexpr int tile_rows = 12;
#else
constexpr int tile_rows = 6;
#endif

vf load(const float* p, bool partial, index_t count) {
  return partial ? load_partial(p, count) : vf::load_unaligned(p);
}

void store(float* p, vf v, bool partial, index_t count) {
  if (partial) {
    store_partial(p, count, v);
  } else {
    v.store_unaligned(p);
  }
}

struct TileOfA {
  const float* data;
  index_t row, col;  // strides
};

// Rows × Vectors · lanes of C; with Tail the last vector has `tail` columns only. Four vectors are
// two panels.
template <int Rows, int Vectors, bool Tail>
void tile(const MatmulBlock& p, const TileOfA& a, const float* b, float* c, const float* bias,
          const float* add, index_t tail) {
  const auto partial = [](int v) { return Tail && v == Vectors - 1; };
  vf sum[Rows][Vectors];
#pragma GCC unroll 12
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      sum[i][v] = p.resume ? load(c + i * p.c_row + v * lanes, partial(v), tail) : vf(0.0F);
    }
  }
  // row i of A is reached as base[i / 3] + (i mod 3) · stride: four pointers and one stride instead
  // of twelve pointers, which would not fit the registers
  constexpr int bases = (Rows + 2) / 3;
  const index_t a_row = a.row, a_col = a.col, b_row = p.b_row;
  const float* base[bases];
#pragma GCC unroll 4
  for (int g = 0; g < bases; ++g) base[g] = a.data + index_t{3} * g * a_row;
  for (index_t k = 0; k < p.k; ++k) {
    vf row[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      row[v] = load(b + v / 2 * p.b_panel + v % 2 * lanes, partial(v), tail);
    }
#pragma GCC unroll 12
    for (int i = 0; i < Rows; ++i) {
      const vf x(base[i / 3][i % 3 * a_row]);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) sum[i][v] = fused(x, row[v], sum[i][v]);
    }
    b += b_row;
#pragma GCC unroll 4
    for (int g = 0; g < bases; ++g) base[g] += a_col;
  }
  if (p.finish) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      const vf shift = bias != nullptr ? load(bias + v * lanes, partial(v), tail) : vf(0.0F);
#pragma GCC unroll 12
      for (int i = 0; i < Rows; ++i) sum[i][v] = sum[i][v] * vf(p.alpha) + shift;
      if (add != nullptr) {
#pragma GCC unroll 12
        for (int i = 0; i < Rows; ++i) {
          sum[i][v] += load(add + i * p.add_row + v * lanes, partial(v), tail);
        }
      }
    }
  }
#pragma GCC unroll 12
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      store(c + i * p.c_row + v * lanes, sum[i][v], partial(v), tail);
    }
  }
}

using Tile = void (*)(const MatmulBlock&, const TileOfA&, const float*, float*, const float*,
                      const float*, index_t);

template <int Vectors, bool Tail>
struct Tiles {
#if defined(ATTN_ISA_avx512)
  static constexpr Tile of[tile_rows] = {
      tile<1, Vectors, Tail>,  tile<2, Vectors, Tail>,  tile<3, Vectors, Tail>,
      tile<4, Vectors, Tail>,  tile<5, Vectors, Tail>,  tile<6, Vectors, Tail>,
      tile<7, Vectors, Tail>,  tile<8, Vectors, Tail>,  tile<9, Vectors, Tail>,
      tile<10, Vectors, Tail>, tile<11, Vectors, Tail>, tile<12, Vectors, Tail>};
#else
  static constexpr Tile of[tile_rows] = {tile<1, Vectors, Tail>, tile<2, Vectors, Tail>,
                                         tile<3, Vectors, Tail>, tile<4, Vectors, Tail>,
                                         tile<5, Vectors, Tail>, tile<6, Vectors, Tail>};
#endif
};

const Tile* tiles_for(index_t columns) {
  if (columns == 2 * lanes) return Tiles<2, false>::of;
  if (columns > lanes) return Tiles<2, true>::of;
  return columns == lanes ? Tiles<1, false>::of : Tiles<1, true>::of;
}

// Tiles of so few rows take two panels at once: one would give too few sums to keep the units busy.
#if defined(ATTN_ISA_avx512)
constexpr int wide_rows = 4;
constexpr Tile wide[wide_rows] = {tile<1, 4, false>, tile<2, 4, false>, tile<3, 4, false>,
                                  tile<4, 4, false>};
#else
constexpr int wide_rows = 2;
constexpr Tile wide[wide_rows] = {tile<1, 4, false>, tile<2, 4, false>};
#endif

// The rows of A in the block's room for them.
TileOfA gathered(const MatmulBlock& p, const float* a, index_t rows) {
  const index_t full = rows / lanes * lanes;
  float* to = p.a_room;
  for (index_t k = 0; k < p.k; ++k) {
    for (index_t i = 0; i < full; i += lanes) vf::load_unaligned(a + i).store_unaligned(to + i);
    if (full < rows) store_partial(to + full, rows - full, load_partial(a + full, rows - full));
    a += p.a_col;
    to += rows;
  }
  return {p.a_room, 1, rows};
}

// Tiles of one height over all the columns of the block.
void across(const MatmulBlock& p, const TileOfA& a, index_t i, index_t rows) {
  for (index_t j = 0; j < p.columns;) {
    const index_t rest = p.columns - j;
    const bool two = rows <= wide_rows && rest >= 4 * lanes;
    const index_t columns = two ? 4 * lanes : rest < 2 * lanes ? rest : 2 * lanes;
    (two ? wide : tiles_for(columns))[rows - 1](
        p, a, p.b + j / (2 * lanes) * p.b_panel, p.c + i * p.c_row + j,
        p.bias != nullptr ? p.bias + j : nullptr,
        p.add != nullptr ? p.add + i * p.add_row + j : nullptr, columns % lanes);
    j += columns;
  }
}

// Rows from `first` on, as evenly cut as can be: a last tile of one row would leave the units idle.
void down(const MatmulBlock& p, const TileOfA& a, index_t first, index_t rows) {
  const index_t cuts = ceil_div(rows, tile_rows);
  for (index_t cut = 0; cut < cuts; ++cut) {
    const index_t i = rows * cut / cuts;
    across(p, {a.data + i * a.row, a.row, a.col}, first + i, rows * (cut + 1) / cuts - i);
  }
}

}  // namespace

void matmul_block(const MatmulBlock& p) {
  if (p.a_room == nullptr) return down(p, {p.a, p.a_row, p.a_col}, 0, p.rows);
  for (index_t i = 0; i < p.rows; i += gathered_rows) {
    const index_t rows = p.rows - i < gathered_rows ? p.rows - i : gathered_rows;
    down(p, gathered(p, p.a + i, rows), i, rows);
  }
}

}  // namespace attn::kernels::ATTN_ISA_NS
