#pragma once

// For *_simd.cpp files: 2^t for weights that will be normalised.

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

/// 2^t for −126 ≤ t ≤ 1, relative error 1.3e-7; NaN gives NaN. Nothing has to be kept from
/// overflowing, so a sum puts t's whole part where the exponent is.
inline vf exp2_in_range(vf t) {
#if defined(ATTN_ISA_avx512)
  // t + magic is t rounded to sixteenths: its low four bits choose 2^(i/16), those above are the
  // exponent
  const vf magic(0x1.8p19F);
  const vf shifted = t + magic;
  const vf f = t - (shifted - magic);
  const __m512i bits = _mm512_castps_si512(shifted);
  // the bits of 2^(i/16) less i << 19, which the shifted index adds again
  const __m512i table =
      _mm512_setr_epi32(0x3f800000, 0x3f7daac3, 0x3f7b95c2, 0x3f79c3d3, 0x3f7837f0, 0x3f76f532,
                        0x3f75fed7, 0x3f75583f, 0x3f7504f3, 0x3f7508a4, 0x3f75672a, 0x3f76248c,
                        0x3f7744fd, 0x3f78ccdf, 0x3f7ac0c7, 0x3f7d257d);
  const vf power = _mm512_castsi512_ps(
      _mm512_add_epi32(_mm512_permutexvar_epi32(bits, table), _mm512_slli_epi32(bits, 19)));
  // (2^f − 1) / f on |f| ≤ 1/32, minimax; leaves 1.6e-9 of the result
  vf p = fused(f, vf(0x1.c6b3f8p-5F), vf(0x1.ebfffap-3F));
  p = fused(f, p, vf(0x1.62e43p-1F));
  return fused(power * f, p, power);
#else
  const vf magic(0x1.8p23F);  // t + magic is t rounded to a whole number
  const vf shifted = t + magic;
  const vf f = t - (shifted - magic);
  // 2^f on |f| ≤ 1/2, minimax with the constant term held at 1; leaves 2.0e-9
  vf p = fused(f, vf(0x1.41fbbcp-13F), vf(0x1.5f3e54p-10F));
  p = fused(f, p, vf(0x1.3b2d4cp-7F));
  p = fused(f, p, vf(0x1.c6aee8p-5F));
  p = fused(f, p, vf(0x1.ebfbdcp-3F));
  p = fused(f, p, vf(0x1.62e43p-1F));
  p = fused(f, p, vf(1.0F));
  const __m256i exponent = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
  return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), exponent));
#endif
}

}  // namespace attn::kernels::ATTN_ISA_NS
