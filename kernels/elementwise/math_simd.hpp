#pragma once

// Elementary functions on a vector of floats, for *_simd.cpp files: the error bounds stand at each
// function and are held by tests/kernels/elementwise/unary_test.cpp. Results do not depend on the
// lane.

#include "kernels/simd.hpp"

namespace attn::kernels::ATTN_ISA_NS {

// xsimd 8's fma is a product and a sum at AVX-512 (two roundings), so the instruction is named
// here. A minimum and a maximum that give x where x is NaN: the instruction answers with its second
// operand.
#if defined(ATTN_ISA_avx512)
/// a · b + c, rounded once.
inline vf fused(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
inline vf at_most(vf x, float bound) { return _mm512_min_ps(_mm512_set1_ps(bound), x); }
inline vf at_least(vf x, float bound) { return _mm512_max_ps(_mm512_set1_ps(bound), x); }
/// v · 2^n for integral n in ±300, rounded once where the result is subnormal.
inline vf times_power(vf v, vf n) { return _mm512_scalef_ps(v, n); }
#elif defined(ATTN_ISA_avx2)
inline vf fused(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
inline vf at_most(vf x, float bound) { return _mm256_min_ps(_mm256_set1_ps(bound), x); }
inline vf at_least(vf x, float bound) { return _mm256_max_ps(_mm256_set1_ps(bound), x); }
inline vf times_power(vf v, vf n) {
  // in three factors, none of which leaves the range of exponents; only the last product rounds
  const __m256i bias = _mm256_set1_epi32(127);
  const __m256i whole = _mm256_cvtps_epi32(n);
  const __m256i part = _mm256_srai_epi32(whole, 1);
  const __m256i rest = _mm256_sub_epi32(whole, part);
  const vf a = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(part, bias), 23));
  const vf b = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23));
  return v * a * b;
}
#endif

/// e^x = (1 + fraction) · 2^power, −1/4 ≤ fraction ≤ 1/2 but for the last bits. x must lie in ±1000
/// or be NaN (then fraction is NaN).
struct ExpParts {
  vf fraction, power;
};

inline ExpParts exp_parts(vf x) {
  // The power is chosen so that 1 + fraction lies in [3/4, 3/2], not around 1 by the square root of
  // 2: a fraction of at most 1/4 below 1, where units are halved, rounds to half as coarse a grid.
  const vf n =
      xsimd::nearbyint(fused(x, vf(0x1.715476p+0F), vf(-0.0849625F)));  // log2 e, log2 √(9/8)
  // ln 2 in two floats; the first product and difference are exact (24 + 8 bits, then cancellation)
  vf r = fused(n, vf(-0x1.62e43p-1F), x);
  r = fused(n, vf(0x1.05c61p-29F), r);
  // e^r = 1 + r + r² q(r) on ln 3/4 ≤ r ≤ ln 3/2: q's minimax polynomial leaves 3.3e-9 of the
  // result
  vf q = fused(r, vf(0x1.7e178ep-10F), vf(0x1.12098cp-7F));
  q = fused(r, q, vf(0x1.5544dep-5F));
  q = fused(r, q, vf(0x1.5554bep-3F));
  q = fused(r, q, vf(0x1.000006p-1F));
  return {fused(r * r, q, r), n};
}

/// e^x, at most 1 ULP from the exact value for every float; 0 and +inf beyond the range, gradual
/// underflow in between, NaN for NaN.
inline vf vexp(vf x) {
  // e^-104 rounds to 0 and e^89 to +inf
  const ExpParts e = exp_parts(at_least(at_most(x, 89.0F), -104.0F));
  return times_power(vf(1.0F) + e.fraction, e.power);
}

}  // namespace attn::kernels::ATTN_ISA_NS
