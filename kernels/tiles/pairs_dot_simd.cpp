// Products of bfloat16 in pairs along k, summed in f32, on CPUs that have an instruction for them.

#include "kernels/tiles/read_simd.hpp"

#if defined(ATTN_ISA_dot)

namespace attn::kernels::ATTN_ISA_NS {
namespace {

// 12 × 2 sums, two vectors of B; A is read as broadcasts in the instruction's operand
constexpr int most_rows = 12;

inline __m512bh as_pairs(__m512i x) { return (__m512bh)x; }

template <int rows>
void tile(const PairsProduct& p, index_t row) {
  __m512 sum[rows][2];
#pragma GCC unroll 12
  for (int i = 0; i < rows; ++i) sum[i][0] = sum[i][1] = _mm512_setzero_ps();
  constexpr int bases = (rows + 2) / 3;  // as in the product of floats: pointers that fit registers
  const index_t stride = p.a_row;
  const uint16_t* base[bases];
#pragma GCC unroll 4
  for (int g = 0; g < bases; ++g) base[g] = p.a + (row + index_t{3} * g) * stride;
  const uint16_t* b = p.b;
  for (index_t pair = 0; pair < p.pairs; ++pair, b += 64) {
    const __m512bh b0 = as_pairs(_mm512_load_si512(b)), b1 = as_pairs(_mm512_load_si512(b + 32));
#pragma GCC unroll 12
    for (int i = 0; i < rows; ++i) {
      int word = 0;
      __builtin_memcpy(&word, base[i / 3] + i % 3 * stride, sizeof word);
      const __m512bh a = as_pairs(_mm512_set1_epi32(word));
      sum[i][0] = _mm512_dpbf16_ps(sum[i][0], a, b0);
      sum[i][1] = _mm512_dpbf16_ps(sum[i][1], a, b1);
    }
#pragma GCC unroll 4
    for (int g = 0; g < bases; ++g) base[g] += 2;
  }
  const __mmask32 mask = _bzhi_u32(~0U, static_cast<unsigned>(p.columns));
  const auto low = static_cast<__mmask16>(mask), high = static_cast<__mmask16>(mask >> 16);
  const __m512 alpha = _mm512_set1_ps(p.alpha);
  __m512 shift0 = _mm512_setzero_ps(), shift1 = shift0;
  if (p.bias != nullptr) {
    shift0 = _mm512_maskz_loadu_ps(low, p.bias);
    shift1 = _mm512_maskz_loadu_ps(high, p.bias + 16);
  }
#pragma GCC unroll 12
  for (int i = 0; i < rows; ++i) {
    float* const c = p.c + (row + i) * p.c_row;
    __m512 c0 = _mm512_fmadd_ps(sum[i][0], alpha, shift0);
    __m512 c1 = _mm512_fmadd_ps(sum[i][1], alpha, shift1);
    if (p.add != nullptr) {
      const float* const add = p.add + (row + i) * p.add_row;
      c0 = _mm512_add_ps(c0, _mm512_maskz_loadu_ps(low, add));
      c1 = _mm512_add_ps(c1, _mm512_maskz_loadu_ps(high, add + 16));
    }
    _mm512_mask_storeu_ps(c, low, c0);
    _mm512_mask_storeu_ps(c + 16, high, c1);
  }
}

using Tile = void (*)(const PairsProduct&, index_t);
constexpr Tile tiles[most_rows] = {tile<1>, tile<2>, tile<3>, tile<4>,  tile<5>,  tile<6>,
                                   tile<7>, tile<8>, tile<9>, tile<10>, tile<11>, tile<12>};

}  // namespace

// As evenly cut as can be: a last tile of one row would leave the units idle.
void multiply_pairs(const PairsProduct& p) {
  const index_t cuts = (p.rows + most_rows - 1) / most_rows;
  for (index_t cut = 0; cut < cuts; ++cut) {
    const index_t row = p.rows * cut / cuts;
    tiles[p.rows * (cut + 1) / cuts - row - 1](p, row);
  }
}

void round_row(const float* x, index_t n, std::uint16_t* to) {
  index_t i = 0;
  for (; i + 16 <= n; i += 16) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i),
                        (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(x + i)));
  }
  if (i < n) {
    const __mmask16 mask = tail_mask(n - i);
    const __m256bh rounded = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, x + i));
    _mm256_mask_storeu_epi16(to + i, mask, (__m256i)rounded);
  }
}

}  // namespace attn::kernels::ATTN_ISA_NS

#endif
