#pragma once

#include "kernels/quant/quant.hpp"

#include <cstdint>

namespace attn::kernels {

// Weights W [n, k] in the order in which products with W ᵀ read them: tiles of 16 rows by 32
// columns, those of the same rows one after the other along k, so that a product is one sequential
// stream and every vector lane is a row. Nothing is rounded: a tile holds the file's bits, and the
// bytes are those of the file's blocks (f32 alone becomes bf16). Rows and columns that W does not
// have are weights of 0.
//
// A tile of a block format is [16 scales][16 minima, of q4_1 and q5_1][fifth bits, 64 bytes, or
// fifth and sixth, 128][4 × 64 bytes], all little-endian; byte j of lane r of 64-byte line i holds
// the low four bits of row r's columns 4 i + j and, above, 16 + 4 i + j. Bit g of byte j of the
// fifth bits belongs to column 4 g + j; bits 2 g' of byte j of line L of fifth and sixth ones to
// column 16 L + 4 g' + j. q8_0 has eight lines of q + 128, byte j of line g being column 4 g + j.
// The formats of 256 weights begin with [16 d] (q4_k, q5_k: [16 d_min]), then eight tiles with
// 16 scales and minima of a byte each (q6_k: twice 16 scales). bf16 and f16 are [16 pairs of
// columns][16 rows][2].

inline constexpr index_t tile_rows = 16, tile_columns = 32;

/// Can weights of this type be held in tiles? All but f32, which `to_bf16` makes bf16.
[[nodiscard]] bool tileable(WeightType type, bool to_bf16) noexcept;

/// The type that tiles made of `type` hold.
[[nodiscard]] constexpr WeightType tiled_type(WeightType type) noexcept {
  return type == WeightType::f32 ? WeightType::bf16 : type;
}

/// Do tiles made of `type` hold floats, rather than whole numbers with scales?
[[nodiscard]] constexpr bool holds_floats(WeightType type) noexcept {
  return tiled_type(type) == WeightType::bf16 || type == WeightType::f16;
}

/// Bytes of 16 rows of k columns (k of a block format a whole number of its blocks), as tiles.
[[nodiscard]] index_t tile_band_bytes(WeightType type, index_t k) noexcept;

/// Bytes of W [n, k] as tiles.
[[nodiscard]] inline index_t tiled_bytes(WeightType type, index_t n, index_t k) noexcept {
  return (n + tile_rows - 1) / tile_rows * tile_band_bytes(type, k);
}

/// Writes the tiles of the rows [16 band, 16 band + 16) of W [n, k], stored in rows of `type`
/// without gaps, to `to` (tile_band_bytes of them). f32 is rounded to bf16. Thread-safe.
void write_tiles(WeightType type, index_t n, index_t k, const void* weights, index_t band,
                 void* to);

/// Row `row` of W [n, k] out of its tiles, as write_tiles was given it, to `to` (row_bytes(type, k)
/// bytes): the exact inverse, for every type but f32, of which tiles hold no more than bf16. No
/// pointer needs alignment. Thread-safe.
void read_tiles(WeightType type, index_t k, const void* tiles, index_t row, void* to);

}  // namespace attn::kernels
