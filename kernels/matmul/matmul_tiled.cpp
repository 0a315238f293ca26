// The row `tiled`: products with weights in tiles. Few rows, as in a decode step, meet the stream
// of tiles in integer arithmetic; for many, tiles become panels of bfloat16 pairs, once for all
// rows.

#include "kernels/matmul/matmul_levels.hpp"
#include "kernels/tiles/tiles_levels.hpp"

#include <algorithm>

namespace attn::kernels {
namespace {

// Above as many rows, panels that all rows share are cheaper.
constexpr index_t most_rows = 8;
// Bytes of weights a chunk of few rows: 2 µs or so, so that even a small projection is shared out
// evenly.
constexpr index_t grain = index_t{32} * 1024;
// Columns of a panel, and rows that pass over one before the next: their halves of A stay in L2.
constexpr index_t panel = 32, row_block = 512;
// Where panels are fewer than this, which threads could not share evenly, rows are cut as well, to
// not less than what a panel's decoding costs a few percent of.
constexpr index_t fewest_chunks = 12, fewest_rows = 128;
constexpr index_t rounded_rows = 16;  // of A a chunk

constexpr index_t line = 64;
index_t whole_lines(index_t bytes) { return round_up(bytes, line); }

bool floats(WeightType type) { return type == WeightType::bf16 || type == WeightType::f16; }

const char* declines(const MatmulProblem& p, Isa isa) {
  if (!p.tiled) return "no tiles";
  if (isa == Isa::scalar) return "needs AVX2";
  if (p.m > most_rows && !has_dot_products(isa)) return "no bfloat16 products in this CPU";
  return nullptr;
}

struct Few {
  index_t row;  // numbers of a padded row
  index_t copies_bytes, steps_bytes, bytes;
};

Few few_of(index_t m, index_t k) {
  Few few{};
  few.row = round_up(k, tile_columns);
  few.copies_bytes = whole_lines(m * few.row * static_cast<index_t>(sizeof(float)));
  few.steps_bytes = whole_lines(rows16_bytes(m, k));
  few.bytes = few.copies_bytes + few.steps_bytes;
  return few;
}

struct Many {
  index_t depth, a_row;  // numbers of a padded row, and between the rows of A
  index_t row_cuts, row_block, panels;
  index_t a_bytes, panel_bytes, tile_bytes;  // the latter two of a worker
};

Many many_of(index_t m, index_t n, index_t k) {
  Many many{};
  many.depth = round_up(k, tile_columns);
  // an odd number of cache lines: rows at the same column then spread over all of a cache's sets
  many.a_row = many.depth + (many.depth / tile_columns % 2 == 0 ? tile_columns : 0);
  many.panels = ceil_div(n, panel);
  many.row_cuts = std::max(ceil_div(m, row_block),
                           std::min(ceil_div(fewest_chunks, std::max<index_t>(1, many.panels)),
                                    ceil_div(m, fewest_rows)));
  many.row_block = ceil_div(m, std::max<index_t>(1, many.row_cuts));
  // amx reads whole tiles of rows
  many.a_bytes = whole_lines(round_up(m, tile_rows) * many.a_row * 2);
  many.panel_bytes = whole_lines(panel * many.depth * 2);
  many.tile_bytes =
      whole_lines(std::min(m, row_block) * panel * static_cast<index_t>(sizeof(float)));
  return many;
}

std::size_t scratch_bytes(const MatmulProblem& p, Isa isa, int workers) {
  if (!p.tiled) return 0;
  const index_t few = few_of(std::min(p.m, most_rows), p.k).bytes;
  if (!has_dot_products(isa)) return static_cast<std::size_t>(few);
  const Many many = many_of(p.m, p.n, p.k);
  return static_cast<std::size_t>(
      std::max(few, many.a_bytes + workers * (many.panel_bytes + many.tile_bytes)));
}

std::size_t not_packed(const MatmulProblem&, Isa) { return 0; }
void no_pack(const MatmulProblem&, Isa, const MatrixView<float>&, void*) {}

const std::uint8_t* band_at(const MatmulArgs<float>& p, index_t band) {
  return static_cast<const std::uint8_t*>(p.stored.tiles) +
         band * tile_band_bytes(p.stored.type, p.k);
}

// A's row i, contiguous: where it is, or copied to `room`.
const float* row_of(const MatmulArgs<float>& p, index_t i, float* room) {
  const float* const from = p.a.data + i * p.a.row_stride;
  if (p.a.col_stride == 1) return from;
  for (index_t k = 0; k < p.k; ++k) room[k] = from[k * p.a.col_stride];
  return room;
}

void finish(Isa isa, const MatmulArgs<float>& p, index_t from, index_t count) {
  if (p.alpha != 1 || p.bias != nullptr) {
    for (index_t i = 0; i < p.m; ++i) {
      float* const c = p.c + i * p.stride_c + from;
      for (index_t j = 0; j < count; ++j) {
        c[j] = c[j] * p.alpha + (p.bias != nullptr ? p.bias[from + j] : 0);
      }
    }
  }
  if (p.activation) {
    float* const c = p.c + from;
    matmul_activate(isa, *p.activation, p.m, count, c, p.stride_c, c, p.stride_c, false);
  }
}

template <class Version>
Version with_dot(Isa isa, Version avx2, Version avx512, Version dot) {
  if (isa == Isa::avx2) return avx2;
  return has_dot_products(isa) ? dot : avx512;
}

void run_few(Isa isa, Workers& workers, const MatmulArgs<float>& p) {
  const Few few = few_of(p.m, p.k);
  TileProduct product;
  product.type = tiled_type(p.stored.type);
  product.rows = p.m;
  product.k = p.k;
  product.c_row = p.stride_c;
  auto* const copies = static_cast<float*>(p.scratch);
  product.a = copies;
  product.a_row = few.row;
  product.a16 = rows16_in(static_cast<char*>(p.scratch) + few.copies_bytes, p.m, p.k);
  for (index_t i = 0; i < p.m; ++i) {
    float* const copy = copies + i * few.row;
    const float* const row = row_of(p, i, copy);
    if (floats(product.type)) {
      if (row != copy) std::copy_n(row, p.k, copy);
      std::fill(copy + p.k, copy + few.row, 0.0F);
    } else {
      with_dot<QuantizeRow>(isa, avx2::quantize_row, avx512::quantize_row,
                            avx512_dot::quantize_row)(row, p.k, product.a16, i);
    }
  }
  const auto multiply = with_dot<MultiplyTiles>(isa, avx2::multiply_tiles, avx512::multiply_tiles,
                                                avx512_dot::multiply_tiles);
  const index_t bands = ceil_div(p.n, tile_rows);
  const index_t bytes = tile_band_bytes(p.stored.type, p.k);
  const index_t share = std::max<index_t>(1, grain / std::max<index_t>(1, bytes));
  parallel_for(workers, ceil_div(bands, share), [&](index_t chunk, int) {
    TileProduct piece = product;
    const index_t from = chunk * share;
    piece.bands = std::min(share, bands - from);
    piece.columns = std::min(piece.bands * tile_rows, p.n - from * tile_rows);
    piece.tiles = band_at(p, from);
    piece.c = p.c + from * tile_rows;
    multiply(piece);
    finish(isa, p, from * tile_rows, piece.columns);
  });
}

void run_many(Isa isa, Workers& workers, const MatmulArgs<float>& p) {
  const Many many = many_of(p.m, p.n, p.k);
  auto* const a = static_cast<std::uint16_t*>(p.scratch);
  char* const own = static_cast<char*>(p.scratch) + many.a_bytes;
  const index_t share = many.panel_bytes + many.tile_bytes;
  parallel_for(workers, ceil_div(p.m, rounded_rows), [&](index_t chunk, int worker) {
    auto* const room = reinterpret_cast<float*>(own + worker * share);
    for (index_t i = chunk * rounded_rows; i < std::min(p.m, (chunk + 1) * rounded_rows); ++i) {
      std::uint16_t* const to = a + i * many.a_row;
      avx512_dot::round_row(row_of(p, i, room), p.k, to);
      std::fill(to + p.k, to + many.depth, std::uint16_t{0});
    }
  });
  const WeightType type = tiled_type(p.stored.type);
  const index_t bands = ceil_div(p.n, tile_rows);
  parallel_for(workers, many.panels * many.row_cuts, [&](index_t chunk, int worker) {
    const index_t column = chunk / many.row_cuts * panel, cut = chunk % many.row_cuts;
    auto* const b = reinterpret_cast<std::uint16_t*>(own + worker * share);
    for (index_t band = column / tile_rows; band < column / tile_rows + 2; ++band) {
      std::uint16_t* const half = b + (band * tile_rows - column) * 2;
      if (band < bands) {
        avx512_dot::decode_pairs(type, band_at(p, band), 0, many.depth, half, 2 * panel);
      } else {
        for (index_t pair = 0; pair < many.depth / 2; ++pair) {
          std::fill_n(half + pair * 2 * panel, 2 * tile_rows, std::uint16_t{0});
        }
      }
    }
    PairsProduct product;
    product.columns = std::min(panel, p.n - column);
    product.pairs = many.depth / 2;
    product.a_row = many.a_row;
    product.b = b;
    product.alpha = p.alpha;
    product.bias = p.bias != nullptr ? p.bias + column : nullptr;
    const index_t first = cut * many.row_block;
    product.rows = std::min(many.row_block, p.m - first);
    if (product.rows <= 0) return;
    product.a = a + first * many.a_row;
    float* const c = p.c + first * p.stride_c + column;
    const bool aside = p.accumulate && p.activation;  // C is needed as it was until the end
    product.c = aside ? reinterpret_cast<float*>(own + worker * share + many.panel_bytes) : c;
    product.c_row = aside ? panel : p.stride_c;
    product.accumulate = p.accumulate && !aside;
    (isa == Isa::amx ? amx::multiply_pairs : avx512_dot::multiply_pairs)(product);
    if (p.activation) {
      matmul_activate(isa, *p.activation, product.rows, product.columns, product.c, product.c_row,
                      c, p.stride_c, p.accumulate);
    }
  });
}

void run(Isa isa, Workers& workers, const MatmulArgs<float>& p) {
  if (p.m <= 0 || p.n <= 0) return;
  if (p.m <= most_rows) return run_few(isa, workers, p);
  run_many(isa, workers, p);
}

}  // namespace

const MatmulImpl matmul_tiled{"tiled", declines, scratch_bytes, not_packed, no_pack, run};

}  // namespace attn::kernels
