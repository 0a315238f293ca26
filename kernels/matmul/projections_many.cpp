#include "kernels/matmul/matmul_levels.hpp"
#include "kernels/matmul/projections_rows.hpp"

namespace attn::kernels {
namespace {

// Of one worker: a panel, and blocks of C beside it.
struct Room : PairsRoom {
  index_t worker_bytes;
};

Room room_of(index_t m, index_t k, bool gated) {
  Room room{PairsRoom(m, k), 0};
  const index_t tile = std::min(m, PairsCut::row_block) * pairs_columns;
  room.worker_bytes =
      room.panel_bytes + (gated ? 2 : 1) * whole_lines(tile * static_cast<index_t>(sizeof(float)));
  return room;
}

// The weights of 32 columns of C as pairs.
void decode(const Projection& one, index_t k, index_t depth, index_t column, std::uint16_t* to) {
  const index_t bands = ceil_div(one.n, tile_rows), first = column / tile_rows;
  for (index_t band = first; band < first + pairs_columns / tile_rows; ++band) {
    std::uint16_t* const half = to + (band - first) * tile_rows * 2;
    if (band < bands) {
      avx512_dot::decode_pairs(tiled_type(one.weights.type), band_at(one.weights, k, band), 0,
                               depth, half, 2 * pairs_columns);
    } else {
      for (index_t pair = 0; pair < depth / 2; ++pair) {
        std::fill_n(half + pair * 2 * pairs_columns, 2 * tile_rows, std::uint16_t{0});
      }
    }
  }
}

struct Block {
  index_t row, rows, column, columns;
};

// The product of a block of rows with a decoded panel, to `c`.
void multiply(Isa isa, const Projection& one, const Room& room, const std::uint16_t* a,
              const std::uint16_t* b, const Block& at, float* c, index_t c_row) {
  PairsProduct product;
  product.rows = at.rows;
  product.columns = at.columns;
  product.pairs = room.depth / 2;
  product.a = a + at.row * room.a_row;
  product.a_row = room.a_row;
  product.b = b;
  product.alpha = one.alpha;
  product.bias = one.bias != nullptr ? one.bias + at.column : nullptr;
  if (one.add != nullptr && !one.activation) {
    product.add = one.add + at.row * one.stride_add + at.column;
    product.add_row = one.stride_add;
  }
  product.c = c;
  product.c_row = c_row;
  (isa == Isa::amx ? amx::multiply_pairs : avx512_dot::multiply_pairs)(product);
}

// A projection's block of C. With an activation before an addition it takes shape in `tile`: C may
// be what is added.
void multiply_and_finish(Isa isa, const Projection& one, const Room& room, const std::uint16_t* a,
                         const std::uint16_t* b, const Block& at, float* tile) {
  float* const c = one.c + at.row * one.stride_c + at.column;
  if (!one.activation) return multiply(isa, one, room, a, b, at, c, one.stride_c);
  float* const to = one.add != nullptr ? tile : c;
  const index_t to_row = one.add != nullptr ? pairs_columns : one.stride_c;
  multiply(isa, one, room, a, b, at, to, to_row);
  matmul_activate(isa, *one.activation, at.rows, at.columns, to, to_row);
  for (index_t i = 0; one.add != nullptr && i < at.rows; ++i) {
    const float* const add = one.add + (at.row + i) * one.stride_add + at.column;
    const float* const sums = to + i * to_row;
    for (index_t j = 0; j < at.columns; ++j) c[i * one.stride_c + j] = add[j] + sums[j];
  }
}

}  // namespace

index_t many_scratch_bytes(int workers, index_t m, index_t k, bool gated) {
  const Room room = room_of(m, k, gated);
  return room.a_bytes + workers * room.worker_bytes;
}

void project_many(Isa isa, Workers& workers, const Projections& p) {
  const Room room = room_of(p.m, p.k, p.gated);
  auto* const a = static_cast<std::uint16_t*>(p.scratch);
  char* const own = static_cast<char*>(p.scratch) + room.a_bytes;
  parallel_for(workers, ceil_div(p.m, rounded_rows), [&](index_t chunk, int worker) {
    auto* const copy = reinterpret_cast<float*>(own + worker * room.worker_bytes);
    for (index_t i = chunk * rounded_rows; i < std::min(p.m, (chunk + 1) * rounded_rows); ++i) {
      std::uint16_t* const to = a + i * room.a_row;
      avx512_dot::round_row(row_of(isa, p, i, copy), p.k, to);
      std::fill(to + p.k, to + room.depth, std::uint16_t{0});
    }
  });

  index_t panels = 0;
  for (const Projection& one : p.gated ? p.each.first(1) : p.each) {
    panels += ceil_div(one.n, pairs_columns);
  }
  const PairsCut cut(p.m, panels);
  parallel_for(workers, panels * cut.cuts, [&](index_t chunk, int worker) {
    auto* const b = reinterpret_cast<std::uint16_t*>(own + worker * room.worker_bytes);
    auto* const tile =
        reinterpret_cast<float*>(own + worker * room.worker_bytes + room.panel_bytes);
    Block at{};
    at.row = chunk % cut.cuts * cut.rows;
    at.rows = std::min(cut.rows, p.m - at.row);
    at.column = chunk / cut.cuts * pairs_columns;
    if (at.rows <= 0) return;
    const Projection* one = p.each.data();
    while (!p.gated && at.column >= round_up(one->n, pairs_columns)) {
      at.column -= round_up(one->n, pairs_columns);
      ++one;
    }
    at.columns = std::min(pairs_columns, one->n - at.column);
    decode(*one, p.k, room.depth, at.column, b);
    if (!p.gated) return multiply_and_finish(isa, *one, room, a, b, at, tile);
    float* const up = tile + at.rows * at.columns;
    multiply(isa, one[0], room, a, b, at, tile, at.columns);
    decode(one[1], p.k, room.depth, at.column, b);
    multiply(isa, one[1], room, a, b, at, up, at.columns);
    gate_block(isa, at.rows, at.columns, tile, up, one->c + at.row * one->stride_c + at.column,
               one->stride_c);
  });
}

}  // namespace attn::kernels
