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

// Rows × Vectors · lanes of C; with Tail the last vector has `tail` columns only.
template <int Rows, int Vectors, bool Tail>
void tile(const MatmulBlock& p, const float* a, const float* b, float* c, const float* bias,
          const float* add, index_t tail) {
  const auto partial = [](int v) { return Tail && v == Vectors - 1; };
  vf sum[Rows][Vectors];
#pragma GCC unroll 12
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) {
      sum[i][v] = p.resume ? load(c + i * p.c_row + v * lanes, partial(v), tail) : vf(0.0F);
    }
  }
  // row i of A is reached as base[i / 3] + (i mod 3) · stride: four pointers and one stride instead
  // of twelve pointers, which would not fit the registers
  constexpr int bases = (Rows + 2) / 3;
  const index_t a_row = p.a_row, a_col = p.a_col, b_row = p.b_row;
  const float* base[bases];
#pragma GCC unroll 4
  for (int g = 0; g < bases; ++g) base[g] = a + index_t{3} * g * a_row;
  for (index_t k = 0; k < p.k; ++k) {
    vf row[Vectors];
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) row[v] = load(b + v * lanes, partial(v), tail);
#pragma GCC unroll 12
    for (int i = 0; i < Rows; ++i) {
      const vf x(base[i / 3][i % 3 * a_row]);
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) sum[i][v] = fused(x, row[v], sum[i][v]);
    }
    b += b_row;
#pragma GCC unroll 4
    for (int g = 0; g < bases; ++g) base[g] += a_col;
  }
  if (p.finish) {
#pragma GCC unroll 2
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
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) {
      store(c + i * p.c_row + v * lanes, sum[i][v], partial(v), tail);
    }
  }
}

using Tile = void (*)(const MatmulBlock&, const float*, const float*, float*, const float*,
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

}  // namespace

void matmul_block(const MatmulBlock& p) {
  // as even a cut of the rows as can be: a last tile of one row would leave the units idle
  const index_t cuts = ceil_div(p.rows, tile_rows);
  for (index_t cut = 0; cut < cuts; ++cut) {
    const index_t i = p.rows * cut / cuts, rows = p.rows * (cut + 1) / cuts - i;
    for (index_t j = 0, panel = 0; j < p.columns; j += 2 * lanes, ++panel) {
      const index_t rest = p.columns - j, columns = rest < 2 * lanes ? rest : 2 * lanes;
      tiles_for(columns)[rows - 1](p, p.a + i * p.a_row, p.b + panel * p.b_panel,
                                   p.c + i * p.c_row + j, p.bias != nullptr ? p.bias + j : nullptr,
                                   p.add != nullptr ? p.add + i * p.add_row + j : nullptr,
                                   columns % lanes);
    }
  }
}

}  // namespace attn::kernels::ATTN_ISA_NS
