#pragma once

// What projections of few and of many rows share.

#include "kernels/matmul/projections.hpp"
#include "kernels/norm/norm.hpp"
#include "kernels/tiles/pairs.hpp"
#include "kernels/tiles/tiles_levels.hpp"

#include <algorithm>

namespace attn::kernels {

/// As many rows at most meet the stream of tiles: 8 at every level, and of integers more where the
/// alternative costs a decoding of all weights to pairs, which so many rows do not pay back.
[[nodiscard]] index_t few_rows(Isa isa, bool integers);

[[nodiscard]] index_t few_scratch_bytes(int workers, index_t m, index_t k, bool gated);
[[nodiscard]] index_t many_scratch_bytes(int workers, index_t m, index_t k, bool gated);
void project_few(Isa isa, Workers& workers, const Projections& p);
void project_many(Isa isa, Workers& workers, const Projections& p);

inline const std::uint8_t* band_at(const StoredWeights& weights, index_t k, index_t band) {
  return static_cast<const std::uint8_t*>(weights.tiles) + band * tile_band_bytes(weights.type, k);
}

/// A's row i, contiguous and normed: where it is, or in `room` [k].
inline const float* row_of(Isa isa, const Projections& p, index_t i, float* room) {
  const float* row = p.a.data + i * p.a.row_stride;
  if (p.a.col_stride != 1) {
    for (index_t k = 0; k < p.k; ++k) room[k] = row[k * p.a.col_stride];
    row = room;
  }
  if (!p.norm_eps) return row;
  rms_norm<float>(isa, serial_workers(), 1, p.k, *p.norm_eps, row, p.gamma, room, nullptr);
  return room;
}

/// C = gate ← silu(gate) · up, for blocks [rows, columns] whose rows follow each other.
inline void gate_block(Isa isa, index_t rows, index_t columns, float* gate, const float* up,
                       float* c, index_t c_row) {
  gated_silu(isa, serial_workers(), rows * columns, gate, up, gate);
  constexpr index_t usual = 32;  // of known length, a copy is no call
  if (columns == usual) {
    for (index_t i = 0; i < rows; ++i) std::copy_n(gate + i * usual, usual, c + i * c_row);
  } else {
    for (index_t i = 0; i < rows; ++i) std::copy_n(gate + i * columns, columns, c + i * c_row);
  }
}

}  // namespace attn::kernels
