#pragma once

// Elementary functions on a vector of floats, for *_simd.cpp files: the error bounds stand at each
// function and are held by tests/kernels/elementwise/unary_test.cpp. Results do not depend on the lane.

#include "kernels/simd.hpp"

namespace attn::kernels::ATTN_ISA_NS {

// A minimum and a maximum that give x where x is NaN: the instruction answers with its second operand.
#if defined(ATTN_ISA_avx512)
inline vf at_most(vf x, float bound) { return _mm512_min_ps(_mm512_set1_ps(bound), x); }
inline vf at_least(vf x, float bound) { return _mm512_max_ps(_mm512_set1_ps(bound), x); }
/// v · 2^n for integral n in ±300, rounded once where the result is subnormal.
inline vf times_power(vf v, vf n) { return _mm512_scalef_ps(v, n); }
#elif defined(ATTN_ISA_avx2)
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

/// e^(x + tail) = (1 + fraction) · 2^power, |fraction| < 0.42. x must lie in ±1000 or be NaN (then
/// fraction is NaN), |tail| be below an ulp of x.
struct ExpParts {
  vf fraction, power;
};

inline ExpParts exp_parts_of(vf n, vf r) {
  // e^r = 1 + r + r² q(r) on |r| ≤ ln 2 / 2: q's minimax polynomial leaves 3e-9 of the result
  vf q = xsimd::fma(r, vf(0x1.6850e4p-10F), vf(0x1.123bccp-7F));
  q = xsimd::fma(r, q, vf(0x1.555b98p-5F));
  q = xsimd::fma(r, q, vf(0x1.55548ep-3F));
  q = xsimd::fma(r, q, vf(0x1.fffff8p-2F));
  return {xsimd::fma(r * r, q, r), n};
}

inline ExpParts exp_parts(vf x) {
  const vf n = xsimd::nearbyint(x * vf(0x1.715476p+0F));  // log2 e
  // ln 2 in two floats; the first product and difference are exact (24 + 8 bits, then cancellation)
  const vf r = xsimd::fma(n, vf(-0x1.62e43p-1F), x);
  return exp_parts_of(n, xsimd::fma(n, vf(0x1.05c61p-29F), r));
}

/// e^x, at most 1 ULP from the exact value for every float; 0 and +inf beyond the range, gradual
/// underflow in between, NaN for NaN.
inline vf vexp(vf x) {
  // e^-104 rounds to 0 and e^89 to +inf
  const ExpParts e = exp_parts(at_least(at_most(x, 89.0F), -104.0F));
  return times_power(vf(1.0F) + e.fraction, e.power);
}

}  // namespace attn::kernels::ATTN_ISA_NS
