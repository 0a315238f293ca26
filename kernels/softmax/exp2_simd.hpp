#pragma once

// For *_simd.cpp files: 2^t for weights that will be normalised.

#include "kernels/simd.hpp"

namespace attn::kernels::ATTN_ISA_NS {

/// 2^t for t ≤ 0 (a rounding above is harmless), relative error 1.6e-7; below t = −126 it fades to
/// 0, −inf gives 0, NaN gives NaN. Half the work of an exp that is right to the last bit for every
/// float.
inline vf exp2_of_negative(vf t) {
#if defined(ATTN_ISA_avx512)
  // e^t is 0 far above this; the bound keeps infinity − infinity out. max answers with its second
  // operand where one is NaN.
  t = _mm512_max_ps(_mm512_set1_ps(-160.0F), t);
  const vf n = _mm512_roundscale_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
  t = _mm256_max_ps(_mm256_set1_ps(-160.0F), t);
  const vf n = _mm256_round_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#endif
  const vf f = t - n;
  // 2^f − 1 over f on |f| ≤ 1/2: minimax with the constant term held at 1, so that 2^0 = 1;
  // leaves 9.2e-8
  vf p = xsimd::fma(f, vf(0x1.5bba12p-10F), vf(0x1.3cea88p-7F));
  p = xsimd::fma(f, p, vf(0x1.c6b752p-5F));
  p = xsimd::fma(f, p, vf(0x1.ebf9bcp-3F));
  p = xsimd::fma(f, p, vf(0x1.62e42ap-1F));
  p = xsimd::fma(f, p, vf(1.0F));
#if defined(ATTN_ISA_avx512)
  return _mm512_scalef_ps(p, n);
#else
  // adds n to the exponent; what would leave the normal range is 0
  const __m256i power = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
  const __m256 scaled = _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), power));
  const __m256 gone = _mm256_cmp_ps(n, _mm256_set1_ps(-126.0F), _CMP_LT_OQ);
  return _mm256_andnot_ps(gone, scaled);
#endif
}

}  // namespace attn::kernels::ATTN_ISA_NS
