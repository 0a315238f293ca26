#pragma once

// How tiles come into registers: for *_simd.cpp files, once per level. A tile is read in pieces of
// as many rows as a vector of words has lanes; of a piece, eight vectors hold its 32 columns, byte
// j of a lane of vector g being column 4 g + j of that row, unsigned.

#include "kernels/quant/blocks.hpp"
#include "kernels/simd.hpp"
#include "kernels/tiles/tiles_levels.hpp"

namespace attn::kernels::ATTN_ISA_NS {

#if defined(ATTN_ISA_avx512)
using vb = __m512i;
inline vb load_bytes(const uint8_t* p) { return _mm512_loadu_si512(p); }
inline vb bits_and(vb a, vb b) { return _mm512_and_si512(a, b); }
inline vb bits_or(vb a, vb b) { return _mm512_or_si512(a, b); }
inline vb all_words(int x) { return _mm512_set1_epi32(x); }
template <int by>
inline vb right(vb a) {
  return _mm512_srli_epi32(a, by);
}
template <int by>
inline vb left(vb a) {
  return _mm512_slli_epi32(a, by);
}
inline vf to_floats(vb words) { return _mm512_cvtepi32_ps(words); }
inline vf halves_at(const uint8_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
inline vf unsigned_bytes_at(const uint8_t* p) {
  return _mm512_cvtepi32_ps(
      _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
inline vf signed_bytes_at(const uint8_t* p) {
  return _mm512_cvtepi32_ps(
      _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
inline vf as_floats(vb words) { return _mm512_castsi512_ps(words); }
#else
using vb = __m256i;
inline vb load_bytes(const uint8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
inline vb bits_and(vb a, vb b) { return _mm256_and_si256(a, b); }
inline vb bits_or(vb a, vb b) { return _mm256_or_si256(a, b); }
inline vb all_words(int x) { return _mm256_set1_epi32(x); }
template <int by>
inline vb right(vb a) {
  return _mm256_srli_epi32(a, by);
}
template <int by>
inline vb left(vb a) {
  return _mm256_slli_epi32(a, by);
}
inline vf to_floats(vb words) { return _mm256_cvtepi32_ps(words); }
inline vf halves_at(const uint8_t* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline vf unsigned_bytes_at(const uint8_t* p) {
  return _mm256_cvtepi32_ps(
      _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
}
inline vf signed_bytes_at(const uint8_t* p) {
  return _mm256_cvtepi32_ps(
      _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
}
inline vf as_floats(vb words) { return _mm256_castsi256_ps(words); }
#endif

constexpr int pieces = static_cast<int>(tile_rows / lanes);
constexpr int piece_bytes = 64 / pieces;  // of a line

/// A weight is scale[part] · byte + shift[part], part being 0, or column / 16 where there are two.
template <int parts>
struct Piece {
  vb q[8];
  vf scale[parts], shift[parts];
};

/// Four lines of nibbles.
[[gnu::always_inline]] inline void read_nibbles(const uint8_t* lines, int piece, vb (&q)[8]) {
  const vb mask = all_words(0x0f0f0f0f);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const vb line = load_bytes(lines + 64 * i + piece * piece_bytes);
    q[i] = bits_and(line, mask);
    q[i + 4] = bits_and(right<4>(line), mask);
  }
}

template <int g>
inline vb fifth_bit(vb bits) {
  const vb mask = all_words(0x10101010);
  if constexpr (g < 4) return bits_and(left<4 - g>(bits), mask);
  if constexpr (g == 4) return bits_and(bits, mask);
  if constexpr (g > 4) return bits_and(right<g - 4>(bits), mask);
}
[[gnu::always_inline]] inline void add_fifth(const uint8_t* line, int piece, vb (&q)[8]) {
  const vb bits = load_bytes(line + piece * piece_bytes);
  q[0] = bits_or(q[0], fifth_bit<0>(bits));
  q[1] = bits_or(q[1], fifth_bit<1>(bits));
  q[2] = bits_or(q[2], fifth_bit<2>(bits));
  q[3] = bits_or(q[3], fifth_bit<3>(bits));
  q[4] = bits_or(q[4], fifth_bit<4>(bits));
  q[5] = bits_or(q[5], fifth_bit<5>(bits));
  q[6] = bits_or(q[6], fifth_bit<6>(bits));
  q[7] = bits_or(q[7], fifth_bit<7>(bits));
}

/// How the columns of a tile stand, where nothing but four nibble lines or eight byte lines makes
/// them up.
enum class Lines { nibbles, bytes, several };

// A format's blocks: `tiles` of 32 columns together, in `bytes`.
// Readers are inlined by force: as calls they pass their vectors through memory, and Q4_K took
// twice as long as Q4_1.
template <bool minimum, bool fifth>
struct Tiles32 {
  static constexpr int tiles = 1, parts = 1;
  static constexpr int head = minimum ? 64 : 32;
  static constexpr index_t bytes = head + (fifth ? 64 : 0) + 256;
  static constexpr Lines kind = fifth ? Lines::several : Lines::nibbles;
  static const uint8_t* lines(const uint8_t* block, int /*tile*/) {
    return block + head + (fifth ? 64 : 0);
  }
  [[gnu::always_inline]] static void read_scales(const uint8_t* block, int /*tile*/, int piece,
                                                 Piece<1>& to) {
    to.scale[0] = halves_at(block + piece * piece_bytes / 2);
    if constexpr (minimum) {
      to.shift[0] = halves_at(block + 32 + piece * piece_bytes / 2);
    } else {
      to.shift[0] = to.scale[0] * vf(fifth ? -16.0F : -8.0F);
    }
  }
  [[gnu::always_inline]] static void read(const uint8_t* block, int tile, int piece, Piece<1>& to) {
    read_scales(block, tile, piece, to);
    read_nibbles(lines(block, tile), piece, to.q);
    if constexpr (fifth) add_fifth(block + head, piece, to.q);
  }
};

struct TilesQ8 {
  static constexpr int tiles = 1, parts = 1;
  static constexpr index_t bytes = 32 + 512;
  static constexpr Lines kind = Lines::bytes;
  static const uint8_t* lines(const uint8_t* block, int /*tile*/) { return block + 32; }
  [[gnu::always_inline]] static void read_scales(const uint8_t* block, int /*tile*/, int piece,
                                                 Piece<1>& to) {
    to.scale[0] = halves_at(block + piece * piece_bytes / 2);
    to.shift[0] = to.scale[0] * vf(-128.0F);
  }
  [[gnu::always_inline]] static void read(const uint8_t* block, int tile, int piece, Piece<1>& to) {
    read_scales(block, tile, piece, to);
#pragma GCC unroll 8
    for (int g = 0; g < 8; ++g) {
      to.q[g] = load_bytes(lines(block, tile) + 64 * g + piece * piece_bytes);
    }
  }
};

template <bool fifth>
struct TilesK {
  static constexpr int tiles = 8, parts = 1;
  static constexpr index_t tile_bytes = 32 + (fifth ? 64 : 0) + 256, bytes = 64 + 8 * tile_bytes;
  static constexpr Lines kind = fifth ? Lines::several : Lines::nibbles;
  static const uint8_t* lines(const uint8_t* block, int tile) {
    return block + 64 + tile * tile_bytes + 32 + (fifth ? 64 : 0);
  }
  [[gnu::always_inline]] static void read_scales(const uint8_t* block, int tile, int piece,
                                                 Piece<1>& to) {
    const uint8_t* const at = block + 64 + tile * tile_bytes;
    const vf d = halves_at(block + piece * piece_bytes / 2);
    const vf d_min = halves_at(block + 32 + piece * piece_bytes / 2);
    to.scale[0] = d * unsigned_bytes_at(at + piece * lanes);
    to.shift[0] = vf(0.0F) - d_min * unsigned_bytes_at(at + tile_rows + piece * lanes);
  }
  [[gnu::always_inline]] static void read(const uint8_t* block, int tile, int piece, Piece<1>& to) {
    read_scales(block, tile, piece, to);
    read_nibbles(lines(block, tile), piece, to.q);
    if constexpr (fifth) add_fifth(lines(block, tile) - 64, piece, to.q);
  }
};

struct TilesQ6 {
  static constexpr int tiles = 8, parts = 2;
  static constexpr Lines kind = Lines::several;
  static constexpr index_t tile_bytes = 32 + 128 + 256, bytes = 32 + 8 * tile_bytes;
  template <int line>
  [[gnu::always_inline]] static void add_bits(const uint8_t* lines, int piece, vb (&q)[8]) {
    const vb bits = load_bytes(lines + 64 * line + piece * piece_bytes);
    const vb mask = all_words(0x30303030);
    q[4 * line] = bits_or(q[4 * line], bits_and(left<4>(bits), mask));
    q[4 * line + 1] = bits_or(q[4 * line + 1], bits_and(left<2>(bits), mask));
    q[4 * line + 2] = bits_or(q[4 * line + 2], bits_and(bits, mask));
    q[4 * line + 3] = bits_or(q[4 * line + 3], bits_and(right<2>(bits), mask));
  }
  [[gnu::always_inline]] static void read(const uint8_t* block, int tile, int piece, Piece<2>& to) {
    const uint8_t* const at = block + 32 + tile * tile_bytes;
    const vf d = halves_at(block + piece * piece_bytes / 2);
#pragma GCC unroll 2
    for (int part = 0; part < 2; ++part) {
      to.scale[part] = d * signed_bytes_at(at + part * tile_rows + piece * lanes);
      to.shift[part] = to.scale[part] * vf(-32.0F);
    }
    read_nibbles(at + 32 + 128, piece, to.q);
    add_bits<0>(at + 32, piece, to.q);
    add_bits<1>(at + 32, piece, to.q);
  }
};

/// Two columns of a line of bf16 or f16 pairs, of as many rows as a vector has lanes.
template <bool half>
struct TilesFloat {
  static constexpr index_t bytes = 1024;
  [[gnu::always_inline]] static void read(const uint8_t* line, int piece, vf& even, vf& odd) {
    const vb pairs = load_bytes(line + piece * piece_bytes);
    if constexpr (half) {
#if defined(ATTN_ISA_avx512)
      even = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(pairs));
      odd = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(right<16>(pairs)));
#else
      const vb low = bits_and(pairs, all_words(0xffff)), high = right<16>(pairs);
      const auto narrow = [](vb words) {
        const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(words, words), 0x08);
        return vf(_mm256_cvtph_ps(_mm256_castsi256_si128(packed)));
      };
      even = narrow(low);
      odd = narrow(high);
#endif
    } else {
      even = as_floats(left<16>(pairs));
      odd = as_floats(bits_and(pairs, all_words(static_cast<int>(0xffff0000U))));
    }
  }
};

/// Calls with<Format>() for the format's reader; bf16 and f16 are not among them.
template <class With>
inline void with_blocks(WeightType type, With&& with) {
  switch (type) {
    case WeightType::q8_0: return with(TilesQ8{});
    case WeightType::q4_0: return with(Tiles32<false, false>{});
    case WeightType::q4_1: return with(Tiles32<true, false>{});
    case WeightType::q5_0: return with(Tiles32<false, true>{});
    case WeightType::q5_1: return with(Tiles32<true, true>{});
    case WeightType::q4_k: return with(TilesK<false>{});
    case WeightType::q5_k: return with(TilesK<true>{});
    case WeightType::q6_k: return with(TilesQ6{});
    default: return;
  }
}

}  // namespace attn::kernels::ATTN_ISA_NS
