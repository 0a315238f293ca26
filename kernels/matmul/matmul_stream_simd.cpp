// Rows of stored weights against up to eight rows of A: every block is read once, decoded in
// registers and multiplied with all rows. A number's sum runs in two chains along k, whatever the
// other rows and columns are, so its bits are its own.

#include "kernels/matmul/matmul_levels.hpp"
#include "kernels/quant/blocks.hpp"
#include "kernels/simd.hpp"

namespace attn::kernels::ATTN_ISA_NS {
namespace {

// Weights that are decoded together: what the 32-weight block formats have, and whole vectors of
// both levels.
constexpr index_t piece = 32;
constexpr int vectors = piece / lanes;

// Bytes ahead of the read that are asked for: a few hundred nanoseconds of streaming, which is what
// memory takes to answer. Rows follow each other in memory, so this crosses into the next ones.
constexpr index_t ahead = 4096;

#if defined(ATTN_ISA_avx512)
inline float total(vf v) { return _mm512_reduce_add_ps(v); }
inline vf bytes_to_ints(const uint8_t* p) {
  return _mm512_castsi512_ps(
      _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
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
inline float total(vf v) {
  __m128 x = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  x = _mm_add_ps(x, _mm_movehl_ps(x, x));
  return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}
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

template <int columns, int rows>
struct Sums {
  vf chain[columns][rows][2];
};

template <int columns, int rows>
inline void add_piece(const StreamArgs& s, index_t row, index_t k, const vf (&w)[columns][vectors],
                      Sums<columns, rows>& sums) {
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) {
    const float* const a = s.a + (row + r) * s.a_row + k;
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) {
      const vf x = vf::load_unaligned(a + v * lanes);
#pragma GCC unroll 4
      for (int c = 0; c < columns; ++c) {
        sums.chain[c][r][v % 2] = fused(w[c][v], x, sums.chain[c][r][v % 2]);
      }
    }
  }
}

// `columns` weight rows from `column` on against `rows` rows of A.
template <class Read, int columns, int rows>
void tile(const StreamArgs& s, index_t column, index_t row) {
  const uint8_t* weights[columns];
  Sums<columns, rows> sums;
#pragma GCC unroll 4
  for (int c = 0; c < columns; ++c) {
    weights[c] = s.weights + (column + c) * s.weight_row;
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) sums.chain[c][r][0] = sums.chain[c][r][1] = vf(0.0F);
  }
  const index_t pieces = s.k / piece;
  index_t at = 0;
  if constexpr (Read::weights > piece) {
    constexpr index_t in_block = Read::weights / piece;
    alignas(64) float decoded[columns][Read::weights];
    for (index_t block = 0; at < pieces; ++block) {
      for (int c = 0; c < columns; ++c) {
        _mm_prefetch(reinterpret_cast<const char*>(weights[c] + block * Read::bytes + ahead),
                     _MM_HINT_T0);
        Read::decode(weights[c] + block * Read::bytes, decoded[c]);
      }
      for (index_t i = 0; i < in_block; ++i, ++at) {
        vf w[columns][vectors];
        for (int c = 0; c < columns; ++c) {
          for (int v = 0; v < vectors; ++v) {
            w[c][v] = vf::load_aligned(decoded[c] + i * piece + v * lanes);
          }
        }
        add_piece<columns, rows>(s, row, at * piece, w, sums);
      }
    }
  } else {
    constexpr index_t piece_bytes = Read::bytes * piece / Read::weights;
    for (; at < pieces; ++at) {
      vf w[columns][vectors];
#pragma GCC unroll 4
      for (int c = 0; c < columns; ++c) {
        _mm_prefetch(reinterpret_cast<const char*>(weights[c] + at * piece_bytes + ahead),
                     _MM_HINT_T0);
        Read::read(weights[c], at, w[c]);
      }
      add_piece<columns, rows>(s, row, at * piece, w, sums);
    }
  }
  for (int c = 0; c < columns; ++c) {
    for (int r = 0; r < rows; ++r) {
      float sum = total(sums.chain[c][r][0] + sums.chain[c][r][1]);
      // only weights without blocks have rows that are no whole number of pieces
      if constexpr (Read::weights == 1) {
        for (index_t k = pieces * piece; k < s.k; ++k) {
          float w = 0;
          Read::decode(weights[c] + k * Read::bytes, &w);
          sum = __builtin_fmaf(w, s.a[(row + r) * s.a_row + k], sum);
        }
      }
      s.c[(row + r) * s.c_row + column + c] = sum;
    }
  }
}

template <class Read, int columns>
void column_tile(const StreamArgs& s, index_t column) {
  index_t row = 0;
  // four chains at least to hide the latency of a sum, and no more than the registers hold
  for (; row + 4 <= s.rows; row += 4) tile<Read, columns, 4>(s, column, row);
  switch (s.rows - row) {
    case 1: return tile<Read, columns, 1>(s, column, row);
    case 2: return tile<Read, columns, 2>(s, column, row);
    case 3: return tile<Read, columns, 3>(s, column, row);
    default: return;
  }
}

template <class Read>
void stream(const StreamArgs& s) {
  index_t column = 0;
  if (s.rows == 1) {
    for (; column + 4 <= s.columns; column += 4) column_tile<Read, 4>(s, column);
  }
  constexpr index_t together = lanes == 16 ? 2 : 1;
  for (; column + together <= s.columns; column += together) {
    column_tile<Read, together>(s, column);
  }
  for (; column < s.columns; ++column) column_tile<Read, 1>(s, column);
}

}  // namespace

void matmul_stream(const StreamArgs& s) {
  switch (s.type) {
    case WeightType::f32: return stream<ReadF32>(s);
    case WeightType::f16: return stream<ReadF16>(s);
    case WeightType::bf16: return stream<ReadBF16>(s);
    case WeightType::q8_0: return stream<ReadQ8_0>(s);
    case WeightType::q4_0: return stream<ReadQ4_0>(s);
    case WeightType::q4_1: return stream<ReadQ4_1>(s);
    case WeightType::q5_0: return stream<ReadBlock<Q5_0>>(s);
    case WeightType::q5_1: return stream<ReadBlock<Q5_1>>(s);
    case WeightType::q4_k: return stream<ReadBlock<Q4_K>>(s);
    case WeightType::q5_k: return stream<ReadBlock<Q5_K>>(s);
    case WeightType::q6_k: return stream<ReadBlock<Q6_K>>(s);
  }
}

}  // namespace attn::kernels::ATTN_ISA_NS
