#pragma once

// For softmax_simd.cpp: three rows at a time, each in another pass. While a row's exponentials are
// computed, the extremes of the next are looked for and the one before is divided by its sum: so
// waiting for memory and for the sums across lanes falls into the time of the arithmetic. What a
// row gets depends on that row alone.

#include "kernels/simd.hpp"
#include "kernels/softmax/exp2_simd.hpp"

namespace attn::kernels::ATTN_ISA_NS {

#if defined(ATTN_ISA_avx512)
inline vf larger(vf a, vf b) { return _mm512_max_ps(a, b); }
inline vf smaller(vf a, vf b) { return _mm512_min_ps(a, b); }
inline float largest_of(vf v) { return _mm512_reduce_max_ps(v); }
inline float sum_of(vf v) { return _mm512_reduce_add_ps(v); }
#else
inline vf larger(vf a, vf b) { return _mm256_max_ps(a, b); }
inline vf smaller(vf a, vf b) { return _mm256_min_ps(a, b); }
inline float largest_of(vf v) {
  const __m128 half = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 pair = _mm_max_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_max_ss(pair, _mm_shuffle_ps(pair, pair, 1)));
}
inline float sum_of(vf v) { return xsimd::hadd(v); }
#endif

/// The largest and the smallest of a row; NaN counts as neither (the exponentials meet it).
struct Extremes {
  vf high = vf(-__builtin_inff()), low = vf(__builtin_inff());

  void take(vf v) {
    high = larger(v, high);
    low = smaller(v, low);
  }
  void take(const Extremes& other) {
    high = larger(other.high, high);
    low = smaller(other.low, low);
  }
};

inline Extremes row_extremes(const float* x, index_t cols) {
  Extremes a, b;
  index_t c = 0;
  for (; c + 2 * lanes <= cols; c += 2 * lanes) {
    a.take(vf::load_unaligned(x + c));
    b.take(vf::load_unaligned(x + c + lanes));
  }
  for (; c + lanes <= cols; c += lanes) a.take(vf::load_unaligned(x + c));
  if (c < cols) a.take(fill_from(load_partial(x + c, cols - c), cols - c, x[0]));
  a.take(b);
  return a;
}

/// y = (what stands there) · factor for the row before, or nothing to do.
struct Finishing {
  float* y = nullptr;
  vf factor = vf(0.0F);

  void vector(index_t c) const { (vf::load_unaligned(y + c) * factor).store_unaligned(y + c); }
  void part(index_t c, index_t count) const {
    store_partial(y + c, count, load_partial(y + c, count) * factor);
  }
  void row(index_t cols) const {
    if (y == nullptr) return;
    index_t c = 0;
    for (; c + lanes <= cols; c += lanes) vector(c);
    if (c < cols) part(c, cols - c);
  }
};

/// 2^(x · scale − shift) of one row into y, returning the sum, with the other two passes alongside.
/// The exponents lie in −126..1.
template <bool finishes>
float pipelined_row(index_t cols, const float* x, vf scale, vf shift, float* y, Finishing before,
                    const float* next, Extremes& next_extremes) {
  vf s0(0.0F), s1(0.0F);
  Extremes a, b;
  index_t c = 0;
  for (; c + 2 * lanes <= cols; c += 2 * lanes) {
    const vf e0 = exp2_in_range(fused(vf::load_unaligned(x + c), scale, shift));
    const vf e1 = exp2_in_range(fused(vf::load_unaligned(x + c + lanes), scale, shift));
    e0.store_unaligned(y + c);
    e1.store_unaligned(y + c + lanes);
    s0 += e0;
    s1 += e1;
    a.take(vf::load_unaligned(next + c));
    b.take(vf::load_unaligned(next + c + lanes));
    if constexpr (finishes) {
      before.vector(c);
      before.vector(c + lanes);
    }
  }
  for (; c + lanes <= cols; c += lanes) {
    const vf e = exp2_in_range(fused(vf::load_unaligned(x + c), scale, shift));
    e.store_unaligned(y + c);
    s0 += e;
    a.take(vf::load_unaligned(next + c));
    if constexpr (finishes) before.vector(c);
  }
  if (const index_t rest = cols - c; rest > 0) {
    const vf e = exp2_in_range(fused(load_partial(x + c, rest), scale, shift));
    store_partial(y + c, rest, e);
    s1 += fill_from(e, rest, 0.0F);
    a.take(fill_from(load_partial(next + c, rest), rest, next[0]));
    if constexpr (finishes) before.part(c, rest);
  }
  a.take(b);
  next_extremes = a;
  return sum_of(s0 + s1);
}

}  // namespace attn::kernels::ATTN_ISA_NS
