// Rows of stored weights against up to eight rows of A: every block is read once, decoded in
// registers and multiplied with all rows. A number's sum runs in two chains along k, whatever the
// other rows and columns are, so its bits are its own.

#include "kernels/matmul/matmul_levels.hpp"
#include "kernels/quant/read_rows_simd.hpp"

namespace attn::kernels::ATTN_ISA_NS {
namespace {

// Bytes ahead of the read that are asked for: a few hundred nanoseconds of streaming, which is what
// memory takes to answer. Rows follow each other in memory, so this crosses into the next ones.
constexpr index_t ahead = 4096;

#if defined(ATTN_ISA_avx512)
inline float total(vf v) { return _mm512_reduce_add_ps(v); }
#else
inline float total(vf v) {
  __m128 x = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  x = _mm_add_ps(x, _mm_movehl_ps(x, x));
  return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}
#endif

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
