#pragma once

#include "kernels/isa.hpp"
#include "kernels/tiles/rows16.hpp"
#include "kernels/tiles/tiles.hpp"

// What products with tiles are made of, per ISA level. avx512_dot is avx512 on CPUs with its dot
// products of bytes and of bfloat16 (VNNI, BF16); integer results are the same bits with and
// without.

namespace attn::kernels {

/// x [k], contiguous, into row `row` of `to`; numbers beyond k are 0.
using QuantizeRow = void (*)(const float* x, index_t k, const Rows16& to, index_t row);

/// C = A Wᵀ for few rows of A and whole bands of W's rows.
struct TileProduct {
  WeightType type = WeightType::q4_0;
  index_t rows = 0, k = 0;
  index_t bands = 0;                     ///< of 16 columns of C
  index_t columns = 0;                   ///< of C that are there: in the last band maybe fewer
  const unsigned char* tiles = nullptr;  ///< of the first band
  const float* a = nullptr;              ///< of bf16 and f16 weights: rows of whole tiles, padded
  index_t a_row = 0;
  Rows16 a16;  ///< of block formats
  float* c = nullptr;
  index_t c_row = 0;
};
using MultiplyTiles = void (*)(const TileProduct& product);

/// A band's weights as floats: the columns [from, from + count) of W, whole tiles, to
/// to[(column − from) · stride + row].
using DecodeBand = void (*)(WeightType type, const unsigned char* band, index_t from, index_t count,
                            float* to, index_t stride);

/// A band's weights as pairs of bf16, to to[(column − from) / 2 · stride + row · 2 + column % 2].
using DecodePairs = void (*)(WeightType type, const unsigned char* band, index_t from,
                             index_t count, std::uint16_t* to, index_t stride);

/// C [rows, 32] = A [rows, k] · B, A and B bf16 in pairs along k: A's row i at a + i · a_row (in
/// numbers), B's [pairs, 32, 2]. pairs is a multiple of 16.
struct PairsProduct {
  index_t rows = 0, pairs = 0, columns = 0;  ///< columns ≤ 32 that are there
  const std::uint16_t* a = nullptr;
  index_t a_row = 0;
  const std::uint16_t* b = nullptr;
  float* c = nullptr;
  index_t c_row = 0;
  float alpha = 1;
  const float* bias = nullptr;  ///< [columns] or null
  const float* add = nullptr;   ///< [rows, columns], added last, or null; may be c
  index_t add_row = 0;
};
using MultiplyPairs = void (*)(const PairsProduct& product);

/// x [n] rounded to bf16, to nearest even; NaN stays NaN.
using RoundRow = void (*)(const float* x, index_t n, std::uint16_t* to);

namespace avx2 {
void quantize_row(const float* x, index_t k, const Rows16& to, index_t row);
void multiply_tiles(const TileProduct& product);
void decode_band(WeightType type, const unsigned char* band, index_t from, index_t count, float* to,
                 index_t stride);
}  // namespace avx2
namespace avx512 {
void quantize_row(const float* x, index_t k, const Rows16& to, index_t row);
void multiply_tiles(const TileProduct& product);
void decode_band(WeightType type, const unsigned char* band, index_t from, index_t count, float* to,
                 index_t stride);
}  // namespace avx512
namespace avx512_dot {
void quantize_row(const float* x, index_t k, const Rows16& to, index_t row);
void multiply_tiles(const TileProduct& product);
void decode_band(WeightType type, const unsigned char* band, index_t from, index_t count, float* to,
                 index_t stride);
void decode_pairs(WeightType type, const unsigned char* band, index_t from, index_t count,
                  std::uint16_t* to, index_t stride);
void multiply_pairs(const PairsProduct& product);
void round_row(const float* x, index_t n, std::uint16_t* to);
}  // namespace avx512_dot
namespace amx {
/// Reads A in tiles of 16 rows: as far as its rows rounded up to 16 (their numbers do not matter).
void multiply_pairs(const PairsProduct& product);
}  // namespace amx

}  // namespace attn::kernels
