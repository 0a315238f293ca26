#pragma once

// The AMX instructions that products of bfloat16 pairs take, under their intrinsics' meaning, or in
// plain C++ where ATTN_AMX_EMULATED is defined: so that machines without AMX can test what is built
// on them. See the Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter
// 18, and volume 2 (LDTILECFG, TDPBF16PS).

#include "kernels/types.hpp"

#include <cstdint>
#include <cstring>

#ifndef ATTN_AMX_EMULATED
#include <immintrin.h>
#endif

namespace attn::kernels::ATTN_ISA_NS {

/// Palette 1: every tile has 16 rows of 64 bytes.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64);

#ifdef ATTN_AMX_EMULATED

struct Tile {
  alignas(64) std::uint8_t row[16][64];
};
inline Tile& tile_register(int number) {
  thread_local Tile tiles[8];
  return tiles[number];
}
inline void configure_tiles() {}
inline void release_tiles() {}
template <int tile>
void zero_tile() {
  std::memset(&tile_register(tile), 0, sizeof(Tile));
}
template <int tile>
void load_tile(const void* from, index_t stride) {
  for (int r = 0; r < 16; ++r) {
    std::memcpy(tile_register(tile).row[r], static_cast<const std::uint8_t*>(from) + r * stride,
                64);
  }
}
template <int tile>
void store_tile(void* to, index_t stride) {
  for (int r = 0; r < 16; ++r) {
    std::memcpy(static_cast<std::uint8_t*>(to) + r * stride, tile_register(tile).row[r], 64);
  }
}
inline float bfloat_at(const std::uint8_t* row, int i) {
  std::uint16_t half = 0;
  std::memcpy(&half, row + 2 * i, sizeof half);
  const std::uint32_t bits = std::uint32_t{half} << 16;
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
template <int c, int a, int b>
void multiply_tiles_of_pairs() {
  for (int i = 0; i < 16; ++i) {
    float sums[16];
    std::memcpy(sums, tile_register(c).row[i], sizeof sums);
    for (int pair = 0; pair < 16; ++pair) {
      for (int j = 0; j < 16; ++j) {
        const std::uint8_t *x = tile_register(a).row[i], *y = tile_register(b).row[pair];
        sums[j] += bfloat_at(x, 2 * pair) * bfloat_at(y, 2 * j);
        sums[j] += bfloat_at(x, 2 * pair + 1) * bfloat_at(y, 2 * j + 1);
      }
    }
    std::memcpy(tile_register(c).row[i], sums, sizeof sums);
  }
}

#else

inline void configure_tiles() {
  const TileConfig config;
  // GCC 12 takes only eight of the 64 bytes for read, and would drop the stores to the others
  asm volatile("" ::"r"(&config) : "memory");
  _tile_loadconfig(&config);
}
inline void release_tiles() { _tile_release(); }
// GCC 12's intrinsics paste the number of a tile as it is spelled, which a template's parameter is
// not; these are the same instructions.
template <int tile>
void zero_tile() {
  asm volatile("tilezero %%tmm%c0" ::"i"(tile));
}
template <int tile>
void load_tile(const void* from, index_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(tile) : "memory");
}
template <int tile>
void store_tile(void* to, index_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride), "i"(tile) : "memory");
}
template <int c, int a, int b>
void multiply_tiles_of_pairs() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(c), "i"(a), "i"(b));
}

#endif

}  // namespace attn::kernels::ATTN_ISA_NS
