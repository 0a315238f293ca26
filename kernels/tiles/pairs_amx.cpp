// Products of bfloat16 in pairs along k on AMX: 32 × 32 of C in four tiles, of which every step of
// 32 columns takes two tiles of A and two of B. All four are loaded before the four products, so
// that a load's latency is hidden behind the others' products.

#include "kernels/tiles/amx.hpp"
#include "kernels/tiles/tiles_levels.hpp"

namespace attn::kernels::ATTN_ISA_NS {
namespace {

constexpr index_t block = 32;       // rows and columns of C at a time
constexpr index_t step_pairs = 16;  // of k, in a tile

void finish(const PairsProduct& p, index_t row, index_t rows, const float* sums) {
  for (index_t i = 0; i < rows; ++i) {
    float* const c = p.c + (row + i) * p.c_row;
    const float* const sum = sums + i * block;
    if (p.bias == nullptr && p.add == nullptr && p.alpha == 1) {
      for (index_t j = 0; j < p.columns; ++j) c[j] = sum[j];
      continue;
    }
    const float* const add = p.add != nullptr ? p.add + (row + i) * p.add_row : nullptr;
    for (index_t j = 0; j < p.columns; ++j) {
      const float value = sum[j] * p.alpha + (p.bias != nullptr ? p.bias[j] : 0.0F);
      c[j] = add != nullptr ? add[j] + value : value;
    }
  }
}

}  // namespace

void multiply_pairs(const PairsProduct& p) {
  // bytes between the rows of a tile
  const auto a_stride = p.a_row * static_cast<index_t>(sizeof(std::uint16_t));
  constexpr index_t b_stride = 2 * block * static_cast<index_t>(sizeof(std::uint16_t));
  constexpr index_t c_stride = block * static_cast<index_t>(sizeof(float));
  alignas(64) float sums[block * block];
  configure_tiles();
  for (index_t row = 0; row < p.rows; row += block) {
    const index_t rows = p.rows - row < block ? p.rows - row : block;
    const std::uint16_t* a = p.a + row * p.a_row;
    const std::uint16_t* b = p.b;
    zero_tile<0>();
    zero_tile<1>();
    zero_tile<2>();
    zero_tile<3>();
    // up to 16 rows are one tile of A, and up to 16 columns one of B
    const bool two_high = rows > block / 2, two_wide = p.columns > block / 2;
    for (index_t pair = 0; pair < p.pairs; pair += step_pairs) {
      load_tile<4>(a, a_stride);
      load_tile<6>(b, b_stride);
      if (two_wide) load_tile<7>(b + block, b_stride);
      if (two_high) load_tile<5>(a + block / 2 * p.a_row, a_stride);
      multiply_tiles_of_pairs<0, 4, 6>();
      if (two_wide) multiply_tiles_of_pairs<1, 4, 7>();
      if (two_high) multiply_tiles_of_pairs<2, 5, 6>();
      if (two_high && two_wide) multiply_tiles_of_pairs<3, 5, 7>();
      a += 2 * step_pairs;
      b += step_pairs * 2 * block;
    }
    store_tile<0>(sums, c_stride);
    store_tile<1>(sums + block / 2, c_stride);
    store_tile<2>(sums + block / 2 * block, c_stride);
    store_tile<3>(sums + block / 2 * block + block / 2, c_stride);
    finish(p, row, rows, sums);
  }
  release_tiles();
}

}  // namespace attn::kernels::ATTN_ISA_NS
