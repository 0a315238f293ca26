#include "kernels/matmul/matmul_levels.hpp"
#include "kernels/matmul/projections_rows.hpp"

#include <array>

namespace attn::kernels {
namespace {

// Bytes of weights a chunk: 2 µs or so, so that even a small projection is shared out evenly.
constexpr index_t grain = index_t{32} * 1024;
// Bands of a gate and what it gates that a chunk may take: 8 rows of both are 8 KiB, 16 of
// them half of an L1.
constexpr index_t gated_bands = 8;

struct Room {
  index_t row;  // numbers of a padded row
  index_t copies_bytes, steps_bytes, gated_bytes;
};

Room room_of(index_t m, index_t k, bool gated) {
  Room room{};
  room.row = round_up(k, tile_columns);
  room.copies_bytes = whole_lines(m * room.row * static_cast<index_t>(sizeof(float)));
  room.steps_bytes = whole_lines(rows16_bytes(m, k));
  room.gated_bytes =
      gated ? 2 * m * gated_bands * tile_rows * static_cast<index_t>(sizeof(float)) : 0;
  return room;
}

template <class Version>
Version with_dot(Isa isa, Version avx2, Version avx512, Version dot) {
  if (isa == Isa::avx2) return avx2;
  return has_dot_products(isa) ? dot : avx512;
}

// A in the forms that the weights' types ask for.
TileProduct read_rows(Isa isa, const Projections& p, const Room& room) {
  const bool as_floats = !p.each.empty() && holds_floats(p.each[0].weights.type);
  TileProduct product;
  product.rows = p.m;
  product.k = p.k;
  auto* const copies = static_cast<float*>(p.scratch);
  product.a = copies;
  product.a_row = room.row;
  product.a16 = rows16_in(static_cast<char*>(p.scratch) + room.copies_bytes, p.m, p.k);
  const auto quantize = with_dot<QuantizeRow>(isa, avx2::quantize_row, avx512::quantize_row,
                                              avx512_dot::quantize_row);
  for (index_t i = 0; i < p.m; ++i) {
    float* const copy = copies + i * room.row;
    const float* const row = row_of(isa, p, i, copy);
    if (!as_floats) {
      quantize(row, p.k, product.a16, i);
      continue;
    }
    if (row != copy) std::copy_n(row, p.k, copy);
    std::fill(copy + p.k, copy + room.row, 0.0F);
  }
  return product;
}

void finish(Isa isa, const Projections& p, const Projection& one, index_t from, index_t count) {
  float* const c = one.c + from;
  if (one.alpha != 1 || one.bias != nullptr) {
    for (index_t i = 0; i < p.m; ++i) {
      for (index_t j = 0; j < count; ++j) {
        float& value = c[i * one.stride_c + j];
        value = value * one.alpha + (one.bias != nullptr ? one.bias[from + j] : 0);
      }
    }
  }
  if (one.activation) {
    matmul_activate(isa, *one.activation, p.m, count, c, one.stride_c);
  }
  for (index_t i = 0; one.add != nullptr && i < p.m; ++i) {
    const float* const add = one.add + i * one.stride_add + from;
    for (index_t j = 0; j < count; ++j) c[i * one.stride_c + j] += add[j];
  }
}

// Bands [from, from + bands) of one projection, into a C whose first column they are.
void multiply(MultiplyTiles run, TileProduct product, const Projections& p, const Projection& one,
              index_t from, index_t bands, float* c, index_t c_row) {
  product.type = tiled_type(one.weights.type);
  product.bands = bands;
  product.columns = std::min(bands * tile_rows, one.n - from * tile_rows);
  product.tiles = band_at(one.weights, p.k, from);
  product.c = c;
  product.c_row = c_row;
  run(product);
}

}  // namespace

index_t few_scratch_bytes(int workers, index_t m, index_t k, bool gated) {
  const Room room = room_of(m, k, gated);
  return room.copies_bytes + room.steps_bytes + workers * room.gated_bytes;
}

void project_few(Isa isa, Workers& workers, const Projections& p) {
  const Room room = room_of(p.m, p.k, p.gated);
  const TileProduct product = read_rows(isa, p, room);
  const auto run = with_dot<MultiplyTiles>(isa, avx2::multiply_tiles, avx512::multiply_tiles,
                                           avx512_dot::multiply_tiles);
  const auto share_of = [&](const Projection& one) {
    const index_t bytes = tile_band_bytes(one.weights.type, p.k);
    return std::max<index_t>(1, grain / std::max<index_t>(1, bytes));
  };
  if (p.gated) {
    const Projection &gate = p.each[0], &up = p.each[1];
    const index_t bands = ceil_div(gate.n, tile_rows);
    const index_t share = std::min(gated_bands, std::max<index_t>(1, share_of(gate) / 2));
    char* const rooms = static_cast<char*>(p.scratch) + room.copies_bytes + room.steps_bytes;
    parallel_for(workers, ceil_div(bands, share), [&](index_t chunk, int worker) {
      const index_t from = chunk * share, count = std::min(share, bands - from);
      const index_t columns = std::min(count * tile_rows, gate.n - from * tile_rows);
      auto* const left = reinterpret_cast<float*>(rooms + worker * room.gated_bytes);
      float* const right = left + p.m * columns;
      for (const auto& [one, to] : {std::pair(&gate, left), std::pair(&up, right)}) {
        multiply(run, product, p, *one, from, count, to, columns);
        Projection there = *one;
        there.c = to - from * tile_rows;
        there.stride_c = columns;
        finish(isa, p, there, from * tile_rows, columns);
      }
      gate_block(isa, p.m, columns, left, right, gate.c + from * tile_rows, gate.stride_c);
    });
    return;
  }
  index_t chunks = 0;
  for (const Projection& one : p.each) {
    chunks += ceil_div(ceil_div(one.n, tile_rows), share_of(one));
  }
  parallel_for(workers, chunks, [&](index_t chunk, int) {
    for (const Projection& one : p.each) {
      const index_t bands = ceil_div(one.n, tile_rows), share = share_of(one);
      const index_t own = ceil_div(bands, share);
      if (chunk < own) {
        const index_t from = chunk * share, count = std::min(share, bands - from);
        const index_t column = from * tile_rows;
        multiply(run, product, p, one, from, count, one.c + column, one.stride_c);
        return finish(isa, p, one, column, std::min(count * tile_rows, one.n - column));
      }
      chunk -= own;
    }
  });
}

}  // namespace attn::kernels
