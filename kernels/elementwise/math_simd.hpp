#pragma once

// Elementary functions on a vector of floats, for *_simd.cpp files: the error bounds stand at each
// function and are held by tests/kernels/elementwise/unary_test.cpp. Results do not depend on the
// lane.

#include "kernels/elementwise/elementwise.hpp"
#include "kernels/simd.hpp"

namespace attn::kernels::ATTN_ISA_NS {

// A minimum and a maximum that give x where x is NaN: the instruction answers with its second
// operand.
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

/// e^(x + tail) = (1 + fraction) · 2^power, −1/4 ≤ fraction ≤ 1/2 but for the last bits. x must lie
/// in ±1000 or be NaN (then fraction is NaN), tail within a few units in the last place of x.
struct ExpParts {
  vf fraction, power;
};

inline ExpParts exp_parts(vf x, vf tail = vf(0.0F)) {
  // The power is chosen so that 1 + fraction lies in [3/4, 3/2], not around 1 by the square root of
  // 2: a fraction of at most 1/4 below 1, where units are halved, rounds to half as coarse a grid.
  const vf n =
      xsimd::nearbyint(fused(x, vf(0x1.715476p+0F), vf(-0.0849625F)));  // log2 e, log2 √(9/8)
  // ln 2 in two floats; the first product and difference are exact (24 + 8 bits, then cancellation)
  vf r = fused(n, vf(-0x1.62e43p-1F), x);
  r = fused(n, vf(0x1.05c61p-29F), r) + tail;
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

/// v / (1 + e^(a + tail)) = v σ(−a − tail), for a in [0, 200] or NaN; rounded once more where the
/// result is subnormal.
inline vf over_one_plus_exp(vf v, vf a, vf tail = vf(0.0F)) {
  // v 2^-n / (1 + 2^-n + f), with what the first sum loses from n = 24 on
  const ExpParts e = exp_parts(a, tail);
  const vf one(1.0F), power = times_power(one, -e.power), powers = one + power;
  const vf under = powers + (e.fraction + (power - (powers - one)));
  return times_power(v / under, -e.power);
}

/// Of gelu and its like, f(x) = x p(x) with p(-x) = 1 - p(x): the value from x p(-|x|). Without
/// cancellation on the negative side, where it decays.
inline vf gated(vf x, vf decaying) { return xsimd::select(x > vf(0.0F), x - decaying, decaying); }

/// The derivative of such a function from its value at -|x|.
inline vf gated_slope(vf x, vf falling) {
  return xsimd::select(x > vf(0.0F), vf(1.0F) - falling, falling);
}

/// Φ(−a) = over / under · e^(−a²/2) for a in [0, 16] or NaN, Φ being the normal distribution's;
/// over and under each with what their last two roundings left.
struct NormalTail {
  vf over, over_rest, under, under_rest;
  ExpParts bell;  ///< e^(−a²/2)
};

inline NormalTail normal_tail(vf a) {
  const vf square = a * a, rest = fused(a, a, -square);
  const ExpParts bell = exp_parts(square * vf(-0.5F), rest * vf(-0.5F));
  // Minimax to 9.1e-9 of the quotient up to 3.2, 1.9e-8 up to 14.6, with the coefficients'
  // rounding. Every term is positive, so that nothing cancels. The linear coefficients are of 20
  // bits, so that their difference to the sum, and with it the sum's rounding, is exact up to 3.2.
  const vf half(0.5F), linear_over(0x1.c1054p-2F), one(1.0F), linear_under(0x1.acc4dp+0F);
  vf p = fused(a, vf(0x1.0e42dp-8F), vf(0x1.4d492ap-5F));
  p = fused(a, p, vf(0x1.77934ep-3F));
  const vf p1 = fused(a, p, linear_over), over = fused(a, p1, half);
  const vf p1_rest = fused(a, p, linear_over - p1);
  vf q = fused(a, vf(0x1.52b7ccp-7F), vf(0x1.a1bcfap-4F));
  q = fused(a, q, vf(0x1.e12574p-2F));
  q = fused(a, q, vf(0x1.34002ap+0F));
  const vf q1 = fused(a, q, linear_under), under = fused(a, q1, one);
  const vf q1_rest = fused(a, q, linear_under - q1);
  return {over, fused(a, p1_rest, fused(a, p1, half - over)), under,
          fused(a, q1_rest, fused(a, q1, one - under)), bell};
}

/// gelu_tanh(x) = x σ(v): v as a sum of two floats, for x in [0, 12] or NaN.
struct GeluArgument {
  vf v, tail;
};

inline GeluArgument gelu_argument(vf a) {
  // v = a (b + c a²), b = 2 √(2/π), c = 0.044715 b; an error in v would show v times as large in
  // e^v
  const vf b(0x1.988454p+0F), b_rest(-0x1.857936p-25F);
  const vf c(0x1.2444f2p-4F), c_rest(0x1.49b16ap-29F);
  const vf square = a * a, square_rest = fused(a, a, -square);
  const vf product = c * square, w = b + product;
  // what the sum lost: exact once the smaller term is added last
  const vf lost = (xsimd::max(b, product) - w) + xsimd::min(b, product);
  const vf w_rest =
      fused(c, square_rest, fused(c_rest, square, fused(c, square, -product) + (lost + b_rest)));
  const vf v = a * w;
  return {v, fused(a, w_rest, fused(a, w, -v))};
}

/// f(x) for every float, NaN for NaN. At most 1 ULP from the exact value for exp, 2 for tanh,
/// sigmoid, silu and gelu_tanh, 3 for gelu at |x| < 3 and 5 beyond.
template <Unary function>
inline vf apply(vf x) {
  if constexpr (function == Unary::exp) {
    return vexp(x);
  } else if constexpr (function == Unary::tanh) {
    const vf a = at_most(xsimd::abs(x), 40.0F);
    const vf far = vf(1.0F) - over_one_plus_exp(vf(2.0F), a + a);
    const vf square = a * a;
    // (tanh a - a) / a³ on a ≤ 0.6, minimax to 3e-9 of tanh a
    vf q = fused(square, vf(-0x1.825796p-8F), vf(0x1.54b874p-6F));
    q = fused(square, q, vf(-0x1.b898d8p-5F));
    q = fused(square, q, vf(0x1.1109aep-3F));
    q = fused(square, q, vf(-0x1.55553ep-2F));
    const vf near = fused(a * square, q, a);
    return xsimd::select(a < vf(0.6F), near, far) | xsimd::bitofsign(x);
  } else if constexpr (function == Unary::sigmoid) {
    return gated_slope(x, over_one_plus_exp(vf(1.0F), at_most(xsimd::abs(x), 120.0F)));
  } else if constexpr (function == Unary::relu) {
    return at_least(x, 0.0F);
  } else if constexpr (function == Unary::gelu) {
    const vf a = at_most(xsimd::abs(x), 15.0F);
    const NormalTail t = normal_tail(a);
    // a · over / under and what its roundings left, which enter the last sum together
    const vf inverse = vf(1.0F) / t.under, product = a * t.over, z = product * inverse;
    vf rest = fused(a, t.over, -product) + fused(-z, t.under, product);
    rest = fused(a, t.over_rest, fused(-z, t.under_rest, rest));
    const vf bell_less_one = fused(z, t.bell.fraction, rest * inverse);
    return gated(x, times_power(z + bell_less_one, t.bell.power) | xsimd::bitofsign(x));
  } else if constexpr (function == Unary::gelu_tanh) {
    const vf bounded = at_least(at_most(x, 12.0F), -12.0F);
    const GeluArgument u = gelu_argument(xsimd::abs(bounded));
    return gated(x, over_one_plus_exp(bounded, u.v, u.tail));
  } else {
    static_assert(function == Unary::silu);
    const vf bounded = at_least(at_most(x, 120.0F), -120.0F);
    return gated(x, over_one_plus_exp(bounded, xsimd::abs(bounded)));
  }
}

/// f'(x), within 1e-6 max(1, |f'|).
template <Unary function>
inline vf derivative(vf x) {
  const vf one(1.0F);
  if constexpr (function == Unary::exp) {
    return vexp(x);
  } else if constexpr (function == Unary::tanh) {
    const vf a = at_most(xsimd::abs(x), 60.0F);
    const vf y = over_one_plus_exp(one, a + a);
    return vf(4.0F) * y * (one - y);
  } else if constexpr (function == Unary::sigmoid) {
    const vf y = over_one_plus_exp(one, at_most(xsimd::abs(x), 120.0F));
    return y * (one - y);
  } else if constexpr (function == Unary::relu) {
    const vf step = xsimd::select(x > vf(0.0F), one, vf(0.0F));
    return xsimd::select(x == x, step, x);
  } else if constexpr (function == Unary::gelu) {
    const vf a = at_most(xsimd::abs(x), 15.0F);
    const NormalTail t = normal_tail(a);
    const vf z = fused(a, vf(-0.398942280401F), t.over / t.under);  // a / √(2π)
    return gated_slope(x, times_power(fused(z, t.bell.fraction, z), t.bell.power));
  } else if constexpr (function == Unary::gelu_tanh) {
    const vf a = at_most(xsimd::abs(x), 12.0F);
    const GeluArgument u = gelu_argument(a);
    const vf y = over_one_plus_exp(one, u.v, u.tail);
    // a dv/da = a (b + 3 c a²)
    const vf slope = a * fused(a * a, vf(0.2140644488178F), vf(1.5957691216057F));
    return gated_slope(x, y * fused(-slope, one - y, one));
  } else {
    static_assert(function == Unary::silu);
    const vf a = at_most(xsimd::abs(x), 120.0F);
    const vf y = over_one_plus_exp(one, a);
    return gated_slope(x, y * fused(-a, one - y, one));
  }
}

}  // namespace attn::kernels::ATTN_ISA_NS
