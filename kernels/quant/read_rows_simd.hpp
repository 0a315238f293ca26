#pragma once

// How the weights of a stored row come into registers: for *_simd.cpp files.

#include "kernels/quant/blocks.hpp"
#include "kernels/simd.hpp"

namespace attn::kernels::ATTN_ISA_NS {

// Weights that are decoded together: what the 32-weight block formats have, and whole vectors of
// both levels.
inline constexpr index_t piece = 32;
inline constexpr int vectors = piece / lanes;

#if defined(ATTN_ISA_avx512)
inline vf signed_bytes(const uint8_t* p) {
  return _mm512_cvtepi32_ps(
      _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
/// The numbers 0 to 15 times d plus m: what a 4-bit weight can be.
inline vf sixteen(float d, float m) {
  const vf steps = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return fused(steps, vf(d), vf(m));
}
/// 16 bytes of nibbles into 32 weights, by looking them up.
inline void nibbles(const uint8_t* p, float d, float m, vf (&w)[vectors]) {
  const __m512i bytes = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  const vf table = sixteen(d, m);
  w[0] = _mm512_permutexvar_ps(bytes, table);  // the instruction looks at the low four bits alone
  w[1] = _mm512_permutexvar_ps(_mm512_srli_epi32(bytes, 4), table);
}
inline vf halves(const uint8_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
inline vf bfloats(const uint8_t* p) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(
      _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))), 16));
}
#else
inline vf signed_bytes(const uint8_t* p) {
  return _mm256_cvtepi32_ps(
      _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
}
inline void nibbles(const uint8_t* p, float d, float m, vf (&w)[vectors]) {
  const __m128i all = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  const __m128i mask = _mm_set1_epi8(15);
  const __m128i low = _mm_and_si128(all, mask), high = _mm_and_si128(_mm_srli_epi16(all, 4), mask);
  const auto weights = [&](__m128i bytes) -> vf {
    return fused(vf(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes))), vf(d), vf(m));
  };
  w[0] = weights(low);
  w[1] = weights(_mm_srli_si128(low, 8));
  w[2] = weights(high);
  w[3] = weights(_mm_srli_si128(high, 8));
}
inline vf halves(const uint8_t* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline vf bfloats(const uint8_t* p) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(
      _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))), 16));
}
#endif

// How 32 weights of a row come into registers; `at` counts pieces of the row. Products of scale and
// step are exact, so a fused sum with the minimum has the bits of dequantize().
struct ReadQ8_0 : Q8_0 {
  static void read(const uint8_t* row, index_t at, vf (&w)[vectors]) {
    const uint8_t* b = row + at * bytes;
    const vf d(_cvtsh_ss(load_u16(b)));
    for (int v = 0; v < vectors; ++v) w[v] = d * signed_bytes(b + 2 + v * lanes);
  }
};
struct ReadQ4_0 : Q4_0 {
  static void read(const uint8_t* row, index_t at, vf (&w)[vectors]) {
    const uint8_t* b = row + at * bytes;
    const float d = _cvtsh_ss(load_u16(b));
    nibbles(b + 2, d, -8 * d, w);
  }
};
struct ReadQ4_1 : Q4_1 {
  static void read(const uint8_t* row, index_t at, vf (&w)[vectors]) {
    const uint8_t* b = row + at * bytes;
    nibbles(b + 4, _cvtsh_ss(load_u16(b)), _cvtsh_ss(load_u16(b + 2)), w);
  }
};
struct ReadF32 : F32 {
  static void read(const uint8_t* row, index_t at, vf (&w)[vectors]) {
    const auto* const from = reinterpret_cast<const float*>(row) + at * piece;
    for (int v = 0; v < vectors; ++v) w[v] = vf::load_unaligned(from + v * lanes);
  }
};
struct ReadF16 : F16 {
  static void read(const uint8_t* row, index_t at, vf (&w)[vectors]) {
    for (int v = 0; v < vectors; ++v) w[v] = halves(row + (at * piece + v * lanes) * 2);
  }
};
struct ReadBF16 : BF16 {
  static void read(const uint8_t* row, index_t at, vf (&w)[vectors]) {
    for (int v = 0; v < vectors; ++v) w[v] = bfloats(row + (at * piece + v * lanes) * 2);
  }
};
// The others are decoded a block at a time on the stack.
template <class Block>
struct ReadBlock : Block {
  static void read(const uint8_t* row, index_t at, vf (&w)[vectors]) {
    constexpr index_t pieces = Block::weights / piece;
    if constexpr (pieces == 1) {
      alignas(64) float decoded[Block::weights];
      Block::decode(row + at * Block::bytes, decoded);
      for (int v = 0; v < vectors; ++v) w[v] = vf::load_aligned(decoded + v * lanes);
    }
  }
};

}  // namespace attn::kernels::ATTN_ISA_NS
