// Operands as pairs of bfloat16 along k. A number's pair is its neighbour in the same row of A, and
// in the next row of B. Two ways lead there: numbers that are neighbours in memory are rounded as
// they stand, numbers of two rows are interleaved; and where the pairs then lie along the wrong
// side, squares of 16 × 16 of them are transposed.

#include "kernels/matmul/matmul_pairs.hpp"
#include "kernels/quant/read_rows_simd.hpp"
#include "kernels/tiles/tiles_levels.hpp"
#include "kernels/transpose_simd.hpp"

#if defined(ATTN_ISA_dot)

namespace attn::kernels::ATTN_ISA_NS {
namespace {

constexpr index_t step = 32;      // of k that becomes pairs at a time: a square's side
constexpr index_t line = 2 * 32;  // numbers from a pair of a panel to the next

// The `count` numbers at p, as far as there are 16; 0 in the other lanes.
inline __m512 some(const float* p, index_t count) {
  if (count >= 16) return _mm512_loadu_ps(p);
  return count <= 0 ? _mm512_setzero_ps() : __m512(load_partial(p, count));
}

// Lane i is the pair of even[i] and odd[i].
inline __m512i interleaved(__m512 even, __m512 odd) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24,
                                         8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(odd, even));
}

inline void store(std::uint16_t* to, __m512i pairs) { _mm512_storeu_si512(to, pairs); }

// Lines of memory that are 32 numbers long, `stride` apart, rounded, as a square of pairs whose
// sides are exchanged. Of the lines `lines` are there, and of each `count` numbers.
void square_of_lines(const float* from, index_t stride, index_t lines, index_t count,
                     std::uint16_t* to, index_t to_row) {
  Register pairs[16];
#pragma GCC unroll 16
  for (index_t i = 0; i < 16; ++i) {
    const float* const at = from + i * stride;
    const index_t there = i < lines ? count : 0;
    pairs[i] = (Register)_mm512_cvtne2ps_pbh(some(at + 16, there - 16), some(at, there));
  }
  transpose(pairs);
#pragma GCC unroll 16
  for (index_t i = 0; i < 16; ++i) store(to + i * to_row, _mm512_castps_si512(pairs[i]));
}

// The same of 32 lines that are 16 numbers long, two of which make pairs.
void square_of_pairs(const float* from, index_t stride, index_t lines, index_t count,
                     std::uint16_t* to, index_t to_row, index_t to_rows) {
  Register pairs[16];
#pragma GCC unroll 16
  for (index_t i = 0; i < 16; ++i) {
    const float* const at = from + 2 * i * stride;
    pairs[i] = _mm512_castsi512_ps(interleaved(some(at, 2 * i < lines ? count : 0),
                                               some(at + stride, 2 * i + 1 < lines ? count : 0)));
  }
  transpose(pairs);
#pragma GCC unroll 16
  for (index_t i = 0; i < 16; ++i) {
    if (i < to_rows) store(to + i * to_row, _mm512_castps_si512(pairs[i]));
  }
}

void pack_rows(const MatrixView<float>& b, index_t k, index_t columns, std::uint16_t* to) {
  const index_t depth = round_up(k, step), stride = b.row_stride;
  for (index_t i = 0; i < depth; i += 2, to += line) {
    const float* const row = b.data + i * stride;
    const index_t even = i < k ? columns : 0, odd = i + 1 < k ? columns : 0;
    store(to, interleaved(some(row, even), some(row + stride, odd)));
    store(to + 32, interleaved(some(row + 16, even - 16), some(row + stride + 16, odd - 16)));
  }
}

void pack_columns(const MatrixView<float>& b, index_t k, index_t columns, std::uint16_t* to) {
  for (index_t half = 0; half < pairs_columns; half += 16) {
    const float* const from = b.data + half * b.col_stride;
    for (index_t i = 0; i < k; i += step) {
      square_of_lines(from + i, b.col_stride, columns - half, k - i, to + i / 2 * line + 2 * half,
                      line);
    }
  }
}

inline __m512i bytes_of(const uint8_t* p) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline __m512i nibbles_of(const uint8_t* p, int upper) {
  return _mm512_and_si512(_mm512_srl_epi32(bytes_of(p), _mm_cvtsi32_si128(4 * upper)),
                          _mm512_set1_epi32(15));
}
// Four bits, and a fifth where `high` has one, times d plus m.
inline vf five_bits(__m512i low, __mmask16 high, vf d, vf m) {
  const __m512i q = _mm512_mask_or_epi32(low, high, low, _mm512_set1_epi32(16));
  return fused(_mm512_cvtepi32_ps(q), d, m);
}

template <class Block>
struct PieceQ5 : Block {
  static void read(const uint8_t* row, index_t at, vf (&w)[vectors]) {
    const uint8_t* const b = row + at * Block::bytes;
    const uint8_t* const q = b + Block::bytes - 16;
    const float d = _cvtsh_ss(load_u16(b));
    constexpr bool has_minimum = Block::bytes == Q5_1::bytes;
    const vf m(has_minimum ? _cvtsh_ss(load_u16(b + 2)) : -16 * d);
    const uint32_t high = load_u32(q - 4);
    w[0] = five_bits(nibbles_of(q, 0), static_cast<__mmask16>(high), vf(d), m);
    w[1] = five_bits(nibbles_of(q, 1), static_cast<__mmask16>(high >> 16), vf(d), m);
  }
};

// A piece of a K-quant's block alone: a panel needs one in eight.
struct PieceQ4_K : Q4_K {
  static void read(const uint8_t* row, index_t at, vf (&w)[vectors]) {
    const uint8_t* const b = row + at / 8 * bytes;
    const int j = static_cast<int>(at % 8);
    const ScaleMin s = scale_min(b + 4, j);
    const vf d(_cvtsh_ss(load_u16(b)) * static_cast<float>(s.scale));
    const vf m(-(_cvtsh_ss(load_u16(b + 2)) * static_cast<float>(s.min)));
    for (int v = 0; v < vectors; ++v) {
      w[v] = fused(_mm512_cvtepi32_ps(nibbles_of(b + 16 + j / 2 * 32 + v * lanes, j % 2)), d, m);
    }
  }
};
struct PieceQ5_K : Q5_K {
  static void read(const uint8_t* row, index_t at, vf (&w)[vectors]) {
    const uint8_t* const b = row + at / 8 * bytes;
    const int j = static_cast<int>(at % 8);
    const ScaleMin s = scale_min(b + 4, j);
    const vf d(_cvtsh_ss(load_u16(b)) * static_cast<float>(s.scale));
    const vf m(-(_cvtsh_ss(load_u16(b + 2)) * static_cast<float>(s.min)));
    const __m512i fifth = _mm512_set1_epi32(1 << j);
    for (int v = 0; v < vectors; ++v) {
      w[v] = five_bits(nibbles_of(b + 48 + j / 2 * 32 + v * lanes, j % 2),
                       _mm512_test_epi32_mask(bytes_of(b + 16 + v * lanes), fifth), d, m);
    }
  }
};
struct PieceQ6_K : Q6_K {
  static void read(const uint8_t* row, index_t at, vf (&w)[vectors]) {
    const uint8_t* const b = row + at / 8 * bytes;
    const int half = static_cast<int>(at % 8 / 4), part = static_cast<int>(at % 4);
    const uint8_t *low = b + half * 64 + part % 2 * 32, *high = b + 128 + half * 32;
    const uint8_t* const scales = b + 192 + half * 8 + part * 2;
    const float d = _cvtsh_ss(load_u16(b + 208));
    for (int v = 0; v < vectors; ++v) {
      const __m512i upper = _mm512_and_si512(
          _mm512_srl_epi32(bytes_of(high + v * lanes), _mm_cvtsi32_si128(2 * part)),
          _mm512_set1_epi32(3));
      const __m512i q =
          _mm512_or_si512(nibbles_of(low + v * lanes, part / 2), _mm512_slli_epi32(upper, 4));
      const vf scale(d * static_cast<float>(static_cast<int8_t>(scales[v])));
      w[v] = scale * vf(_mm512_cvtepi32_ps(_mm512_sub_epi32(q, _mm512_set1_epi32(32))));
    }
  }
};

// Rows ahead of the one that is read, some 300 ns: a panel's pieces of them lie too far apart for
// the hardware to guess.
constexpr index_t ahead = 64;

template <class Read>
void pack_stored(const unsigned char* rows, index_t row, index_t k, index_t from, index_t columns,
                 std::uint16_t* to) {
  const index_t depth = round_up(k, step);
  const auto read = [&](index_t i, vf(&w)[vectors]) {
    const unsigned char* const at = rows + i * row;
    if constexpr (Read::weights == 1) {  // of these alone a row may end within the panel
      if (columns < piece) {
        alignas(64) unsigned char copy[piece * Read::bytes] = {};
        __builtin_memcpy(copy, at + from * Read::bytes, static_cast<size_t>(columns * Read::bytes));
        return Read::read(copy, 0, w);
      }
    }
    Read::read(at, from / piece, w);
  };
  const auto ask_for = [&](index_t i) {
    _mm_prefetch(reinterpret_cast<const char*>(rows) + i * row + from / Read::weights * Read::bytes,
                 _MM_HINT_T0);
  };
  for (index_t i = 0; i < depth; i += 2, to += line) {
    ask_for(i + ahead);
    ask_for(i + ahead + 1);
    vf even[vectors] = {vf(0.0F), vf(0.0F)}, odd[vectors] = {vf(0.0F), vf(0.0F)};
    if (i < k) read(i, even);
    if (i + 1 < k) read(i + 1, odd);
    for (int v = 0; v < vectors; ++v) store(to + v * 32, interleaved(even[v], odd[v]));
  }
}

}  // namespace

void round_rows(const MatrixView<float>& a, index_t rows, index_t k, std::uint16_t* to,
                index_t to_row) {
  if (a.col_stride == 1) {
    for (index_t i = 0; i < rows; ++i, to += to_row) {
      round_row(a.data + i * a.row_stride, k, to);
      for (index_t l = k; l < round_up(k, step); ++l) to[l] = 0;
    }
    return;
  }
  for (index_t l = 0; l < k; l += step) {
    square_of_pairs(a.data + l * a.col_stride, a.col_stride, k - l, rows, to + l, to_row, rows);
  }
}

void pack_pairs(const MatrixView<float>& b, index_t k, index_t columns, std::uint16_t* to) {
  if (b.col_stride == 1) return pack_rows(b, k, columns, to);
  pack_columns(b, k, columns, to);
}

void pack_stored_pairs(WeightType type, const unsigned char* rows, index_t row, index_t k,
                       index_t from, index_t columns, std::uint16_t* to) {
  const auto pack = [&](auto read) {
    pack_stored<decltype(read)>(rows, row, k, from, columns, to);
  };
  switch (type) {
    case WeightType::f32: return pack(ReadF32{});
    case WeightType::f16: return pack(ReadF16{});
    case WeightType::bf16: return pack(ReadBF16{});
    case WeightType::q8_0: return pack(ReadQ8_0{});
    case WeightType::q4_0: return pack(ReadQ4_0{});
    case WeightType::q4_1: return pack(ReadQ4_1{});
    case WeightType::q5_0: return pack(PieceQ5<Q5_0>{});
    case WeightType::q5_1: return pack(PieceQ5<Q5_1>{});
    case WeightType::q4_k: return pack(PieceQ4_K{});
    case WeightType::q5_k: return pack(PieceQ5_K{});
    case WeightType::q6_k: return pack(PieceQ6_K{});
  }
}

}  // namespace attn::kernels::ATTN_ISA_NS

#endif
