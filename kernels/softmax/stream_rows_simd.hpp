#pragma once

// For *_simd.cpp files: softmax of rows that follow each other, in one pass over memory.
//
// Softmax is the same from any reference, so a row whose scores are moderate needs no largest to
// be subtracted, and so no pass to find it: e^score is summed as it stands, and what comes out
// tells afterwards whether that was sound. The exponentials wait in a buffer in the first-level
// cache until the next row's are computed, and one loop does both: while it divides the last row
// (and waits for memory) it computes the next, and y is written once.

#include "kernels/softmax/exp2_simd.hpp"

namespace attn::kernels::ATTN_ISA_NS {

// The longest row that streams: its buffer, x and y share 48 KiB of first-level cache.
inline constexpr index_t longest_streamed = 4096;

// The sums for which a row stands as computed. Nothing has overflowed; and as the largest of
// 4096 is at least 2^-76, what became less than a normal float is no part of an ulp of it.
inline constexpr double least_sum = 0x1p-64, largest_sum = 0x1p+64;

#if defined(ATTN_ISA_avx512)
// 2^(i/16 + d): the shift d is common to a row and cancels in the quotient. d = 0.036058380 makes
// all sixteen nearly floats, within 0.27 · 2^-24 instead of 2^-24.
alignas(64) inline constexpr float sixteenths[16] = {
    0x1.067aa2p+0F, 0x1.121998p+0F, 0x1.1e3c44p+0F, 0x1.2ae87cp+0F, 0x1.382456p+0F, 0x1.45f62ep+0F,
    0x1.5464a8p+0F, 0x1.6376b4p+0F, 0x1.73339p+0F,  0x1.83a2cap+0F, 0x1.94cc4ap+0F, 0x1.a6b84ep+0F,
    0x1.b96f74p+0F, 0x1.ccfab8p+0F, 0x1.e1638p+0F,  0x1.f6b39ap+0F};
#endif

/// 2^(scale · v), at AVX-512 to a factor common to all, with a relative error of 7.1e-8 (AVX2:
/// 1.3e-7), where that is between 2^-64 and 2^64. Beyond, it is not: `sound()` tells.
struct Exponentials {
  vf scale;
#if defined(ATTN_ISA_avx512)
  vf table = vf::load_aligned(sixteenths);

  explicit Exponentials(float by) : scale(by) {}

  vf operator()(vf v) {
    const vf magic(0x1.8p+19F);  // whose ulp is 1/16: the sum's low bits count sixteenths
    const vf shifted = fused(v, scale, magic);
    const vf power = shifted - magic;
    const vf f = _mm512_fmsub_ps(v, scale, power);  // within 1/32, rounded once
    const vf from = _mm512_permutexvar_ps(_mm512_castps_si512(shifted), table);
    // (2^f − 1) / f: the term in f³ is spread over the others; leaves 2e-9 of the result
    vf p = fused(f, vf(0x1.c6b08ep-5F), vf(0x1.ebfff4p-3F));
    p = fused(f, p, vf(0x1.62e43p-1F));
    return _mm512_scalef_ps(fused(from * f, p, from), power);  // by 2 to the floor of power
  }
#else
  vi wild = vi(0);

  explicit Exponentials(float by) : scale(by) {}

  vf operator()(vf v) {
    const vf magic(0x1.8p+23F);  // whose ulp is 1: the sum's low bits are the exponent
    const vf shifted = fused(v, scale, magic);
    const __m256i bits = _mm256_castps_si256(shifted);
    // no bit but the lowest seven, where the exponent is one of −64..63
    const __m256i off = _mm256_sub_epi32(bits, _mm256_set1_epi32(0x4b400000 - 64));
    wild = _mm256_or_si256(wild, off);
    const vf f = _mm256_fmsub_ps(v, scale, shifted - magic);
    // 2^f on |f| ≤ 1/2, minimax with the constant term held at 1; leaves 2.0e-9
    vf p = fused(f, vf(0x1.41fbbcp-13F), vf(0x1.5f3e54p-10F));
    p = fused(f, p, vf(0x1.3b2d4cp-7F));
    p = fused(f, p, vf(0x1.c6aee8p-5F));
    p = fused(f, p, vf(0x1.ebfbdcp-3F));
    p = fused(f, p, vf(0x1.62e43p-1F));
    p = fused(f, p, vf(1.0F));
    return _mm256_castsi256_ps(
        _mm256_add_epi32(_mm256_castps_si256(p), _mm256_slli_epi32(bits, 23)));
  }
#endif
};

/// Whether the exponentials that have this sum are what they should be.
#if defined(ATTN_ISA_avx512)
// What is far below has become 0, which the sum of the others does not miss. What is far above, or
// NaN, or infinite (−inf too), has made the sum as large, or NaN.
inline bool sound(const Exponentials& /*of_the_row*/, double sum) {
  return least_sum <= sum && sum <= largest_sum;
}
#else
// Not by the sum alone: an exponent that left the range can have come back anywhere in it.
inline bool sound(const Exponentials& of_the_row, double sum) {
  return _mm256_testz_si256(of_the_row.wild, _mm256_set1_epi32(~127)) != 0 && least_sum <= sum &&
         sum <= largest_sum;
}
#endif

/// A row whose exponentials are computed: y[c] = factor · buffer[c] for c < count is still to do.
struct Waiting {
  float* y = nullptr;
  index_t count = 0;
  float factor = 0;
};

/// Writes what waits, from column c on (a multiple of `lanes`).
inline void write_row(const Waiting& row, const float* buffer, index_t c) {
  const vf factor(row.factor);
  for (; c + lanes <= row.count; c += lanes) {
    (vf::load_aligned(buffer + c) * factor).store_unaligned(row.y + c);
  }
  if (c < row.count) store_partial(row.y + c, row.count - c, vf::load_aligned(buffer + c) * factor);
}

/// Writes what waits in `buffer`, and leaves e^(scale · x) (scale times log2(e), to a common
/// factor) for c < count there instead; their sum, or NaN if it is not sound. The order of the sum
/// depends on `count` alone.
inline double stream_row(const float* x, index_t count, float scale, const Waiting& last,
                         float* buffer) {
  constexpr index_t in_floats = longest_chain * 2 * lanes;
  Exponentials exponential(scale);
  const vf factor(last.factor);
  Waiting waiting = last;
  const index_t common = count < last.count ? count : last.count;
  double sum = 0;
  index_t c = 0;
  while (c < count) {
    const index_t end = count - c < in_floats ? count : c + in_floats;
    const index_t paired = common < end ? common : end;
    vf s0(0.0F), s1(0.0F);
    for (; c + 2 * lanes <= paired; c += 2 * lanes) {
      const vf e0 = exponential(vf::load_unaligned(x + c));
      const vf e1 = exponential(vf::load_unaligned(x + c + lanes));
      const vf y0 = vf::load_aligned(buffer + c) * factor;
      const vf y1 = vf::load_aligned(buffer + c + lanes) * factor;
      s0 += e0;
      s1 += e1;
      e0.store_aligned(buffer + c);
      e1.store_aligned(buffer + c + lanes);
      y0.store_unaligned(last.y + c);
      y1.store_unaligned(last.y + c + lanes);
    }
    if (c < end || end == count) {  // no more pairs
      write_row(waiting, buffer, c);
      waiting = {};
    }
    for (; c < end; c += lanes) {
      const index_t rest = end - c;
      const vf e = rest < lanes ? fill_from(exponential(load_partial(x + c, rest)), rest, 0.0F)
                                : exponential(vf::load_unaligned(x + c));
      e.store_aligned(buffer + c);
      const vf even = s0 + e;  // every other vector, as above
      s0 = s1;
      s1 = even;
    }
    sum += sum_of(s0, s1);
  }
  return sound(exponential, sum) ? sum : __builtin_nan("");
}

}  // namespace attn::kernels::ATTN_ISA_NS
