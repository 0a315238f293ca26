#pragma once

// For *_simd.cpp files: 2^t for weights that will be normalised, and their sum.

#include "kernels/simd.hpp"

namespace attn::kernels::ATTN_ISA_NS {

/// 2^t for t ≤ 0 (a rounding above is harmless), relative error 1.3e-7; below t = −126 it fades to
/// 0, −inf gives 0, NaN gives NaN. Half the work of an exp that is right to the last bit for every
/// float.
inline vf exp2_of_negative(vf t) {
#if defined(ATTN_ISA_avx512)
  // the part of t above its floor; 0 for −inf, whose power then makes the 0
  const vf f = _mm512_reduce_ps(t, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
#else
  // the bound keeps infinity − infinity out; max answers with its second operand where one is NaN
  t = _mm256_max_ps(_mm256_set1_ps(-160.0F), t);
  const vf n = _mm256_floor_ps(t);
  const vf f = t - n;
#endif
  // 2^f on [0, 1]: minimax with the constant term held at 1, so that 2^0 = 1; leaves 2.1e-9. A
  // degree less would leave 8.3e-8, which with the roundings of sum and quotient is more than 3
  // units in the last place.
  vf p = fused(f, vf(0x1.c54176p-13F), vf(0x1.46d64cp-10F));
  p = fused(f, p, vf(0x1.3d0b92p-7F));
  p = fused(f, p, vf(0x1.c68912p-5F));
  p = fused(f, p, vf(0x1.ebfd58p-3F));
  p = fused(f, p, vf(0x1.62e42cp-1F));
  p = fused(f, p, vf(1.0F));
#if defined(ATTN_ISA_avx512)
  return _mm512_scalef_ps(p, t);  // by 2 to the floor of t
#else
  // adds n to the exponent; what would leave the normal range is 0
  const __m256i power = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
  const __m256 scaled = _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), power));
  const __m256 gone = _mm256_cmp_ps(n, _mm256_set1_ps(-126.0F), _CMP_LT_OQ);
  return _mm256_andnot_ps(gone, scaled);
#endif
}

/// Weights that are added in floats one after the other; then the sum goes on in float64. In one
/// chain to a vocabulary's 49152 columns it would be off by 10 units in the last place, and with it
/// every quotient.
inline constexpr index_t longest_chain = 64;

/// The sum of all lanes, in float64: where one weight is most of the sum, every float addition on
/// the way could cost the quotient half an ulp.
#if defined(ATTN_ISA_avx512)
inline __m512d in_float64(vf v) {
  const __m256 high = _mm512_extractf32x8_ps(v, 1);
  return _mm512_add_pd(_mm512_cvtps_pd(_mm512_castps512_ps256(v)), _mm512_cvtps_pd(high));
}
inline double sum_of(vf v) { return _mm512_reduce_add_pd(in_float64(v)); }
inline double sum_of(vf a, vf b) {
  return _mm512_reduce_add_pd(_mm512_add_pd(in_float64(a), in_float64(b)));
}
#else
inline double sum_of(vf v) {
  const __m256d four = _mm256_add_pd(_mm256_cvtps_pd(_mm256_castps256_ps128(v)),
                                     _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1)));
  const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
  return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}
inline double sum_of(vf a, vf b) { return sum_of(a) + sum_of(b); }
#endif

}  // namespace attn::kernels::ATTN_ISA_NS
