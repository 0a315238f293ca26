#include "kernels/softmax/exp2_simd.hpp"
#include "kernels/softmax/softmax_levels.hpp"
#include "kernels/softmax/stream_rows_simd.hpp"

namespace attn::kernels::ATTN_ISA_NS {
namespace {

constexpr float log2_e = 0x1.715476p+0F;
constexpr float nothing = -__builtin_inff();

#if defined(ATTN_ISA_avx512)
vf larger(vf a, vf b) { return _mm512_max_ps(a, b); }
float largest_of(vf v) { return _mm512_reduce_max_ps(v); }
#else
vf larger(vf a, vf b) { return _mm256_max_ps(a, b); }
float largest_of(vf v) {
  const __m128 half = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 pair = _mm_max_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_max_ss(pair, _mm_shuffle_ps(pair, pair, 1)));
}
#endif

// One row's scores: x and its sign where there is no mask (the scale comes with the exponent, so
// that nothing overflows and nothing is rounded twice), scale · x + mask where there is one.
template <bool masked>
struct Row {
  const float* x;
  const float* mask;
  vf scale;

  [[nodiscard]] vf score(vf v, vf m) const {
    return masked ? fused(v, scale, m) : xsimd::copysign(vf(1.0F), scale) * v;
  }
  [[nodiscard]] vf score_at(index_t c) const {
    return score(vf::load_unaligned(x + c), masked ? vf::load_unaligned(mask + c) : vf(0.0F));
  }
  // the lanes from `count` on are −inf
  [[nodiscard]] vf score_part(index_t c, index_t count) const {
    const vf m = masked ? load_partial(mask + c, count) : vf(0.0F);
    return fill_from(score(load_partial(x + c, count), m), count, nothing);
  }

  // log2(e) · (scale · x + mask − largest), for `largest` as score() has it
  [[nodiscard]] vf power(vf v, vf m, vf largest) const {
    if constexpr (masked) return fused(v, scale, m - largest) * vf(log2_e);
    return (v - xsimd::copysign(vf(1.0F), scale) * largest) * (scale * vf(log2_e));
  }
  [[nodiscard]] vf power_at(index_t c, vf largest) const {
    return power(vf::load_unaligned(x + c), masked ? vf::load_unaligned(mask + c) : vf(0.0F),
                 largest);
  }
  [[nodiscard]] vf power_part(index_t c, index_t count, vf largest) const {
    const vf m = masked ? load_partial(mask + c, count) : vf(0.0F);
    return fill_from(power(load_partial(x + c, count), m, largest), count, nothing);
  }
};

float inverse(double sum) { return static_cast<float>(1.0 / sum); }

void fill(float* y, index_t from, index_t to, float value) {
  for (index_t c = from; c < to; ++c) y[c] = value;
}

// A row whose largest score is −inf: nothing is seen, unless a NaN hides among the −inf.
template <bool masked>
void row_of_nothing(const Row<masked>& row, index_t seen, float* y) {
  bool number = true;
  for (index_t c = 0; c < seen; ++c) {
    float z = row.x[c];
    if constexpr (masked) z += row.mask[c];
    number = number && z == z;
  }
  fill(y, 0, seen, number ? 0.0F : __builtin_nanf(""));
}

// The largest of the row, in four chains: one would wait for its own latency.
template <bool masked>
vf row_largest(const Row<masked>& row, index_t seen) {
  vf m0(nothing), m1(nothing), m2(nothing), m3(nothing);
  index_t c = 0;
  for (; c + 4 * lanes <= seen; c += 4 * lanes) {
    m0 = larger(row.score_at(c), m0);
    m1 = larger(row.score_at(c + lanes), m1);
    m2 = larger(row.score_at(c + 2 * lanes), m2);
    m3 = larger(row.score_at(c + 3 * lanes), m3);
  }
  for (; c + lanes <= seen; c += lanes) m0 = larger(row.score_at(c), m0);
  if (c < seen) m1 = larger(row.score_part(c, seen - c), m1);
  return larger(larger(m0, m1), larger(m2, m3));
}

// e^(z − largest) into y for the columns [c, end), and their sum.
template <bool masked>
double some_exponentials(const Row<masked>& row, index_t c, index_t end, vf most, float* y) {
  vf s0(0.0F), s1(0.0F), s2(0.0F), s3(0.0F);
  for (; c + 4 * lanes <= end; c += 4 * lanes) {
    const vf e0 = exp2_of_negative(row.power_at(c, most));
    const vf e1 = exp2_of_negative(row.power_at(c + lanes, most));
    const vf e2 = exp2_of_negative(row.power_at(c + 2 * lanes, most));
    const vf e3 = exp2_of_negative(row.power_at(c + 3 * lanes, most));
    e0.store_unaligned(y + c);
    e1.store_unaligned(y + c + lanes);
    e2.store_unaligned(y + c + 2 * lanes);
    e3.store_unaligned(y + c + 3 * lanes);
    s0 += e0;
    s1 += e1;
    s2 += e2;
    s3 += e3;
  }
  for (; c + lanes <= end; c += lanes) {
    const vf e = exp2_of_negative(row.power_at(c, most));
    e.store_unaligned(y + c);
    s0 += e;
  }
  if (c < end) {
    const vf e = exp2_of_negative(row.power_part(c, end - c, most));
    store_partial(y + c, end - c, e);
    s1 += e;
  }
  return sum_of(s0 + s1, s2 + s3);
}

// e^(z − largest) into y, and its sum; the order of the sum depends on `seen` alone.
template <bool masked>
double row_exponentials(const Row<masked>& row, index_t seen, float largest, float* y) {
  constexpr index_t in_floats = longest_chain * 4 * lanes;
  double sum = 0;
  for (index_t c = 0; c < seen; c += in_floats) {
    const index_t end = seen - c < in_floats ? seen : c + in_floats;
    sum += some_exponentials(row, c, end, vf(largest), y);
  }
  return sum;
}

void row_scaled(float* y, index_t seen, float by) {
  const vf factor(by);
  index_t c = 0;
  for (; c + lanes <= seen; c += lanes) {
    (vf::load_unaligned(y + c) * factor).store_unaligned(y + c);
  }
  if (c < seen) store_partial(y + c, seen - c, load_partial(y + c, seen - c) * factor);
}

// A row of at most one vector never leaves the register.
template <bool masked>
void short_row(const Row<masked>& row, index_t seen, float* y) {
  const float largest = largest_of(row.score_part(0, seen));
  if (largest == nothing) return row_of_nothing(row, seen, y);
  const vf e = exp2_of_negative(row.power_part(0, seen, vf(largest)));
  store_partial(y, seen, e * vf(inverse(sum_of(e))));
}

// Any row, alone.
template <bool masked>
void whole_row(const Row<masked>& row, index_t seen, float* y) {
  if (seen == 0) return;
  if (seen < lanes) return short_row(row, seen, y);
  const float largest = largest_of(row_largest(row, seen));
  if (largest == nothing) return row_of_nothing(row, seen, y);
  row_scaled(y, seen, inverse(row_exponentials(row, seen, largest, y)));
}

template <bool masked>
void rows_alone(const SoftmaxArgs<float>& args, index_t first, index_t count) {
  for (index_t r = first; r < first + count; ++r) {
    Row<masked> row{args.x + r * args.stride_x, nullptr, vf(args.scale)};
    if constexpr (masked) row.mask = args.mask + r % args.mask_rows * args.cols;
    float* const y = args.y + r * args.stride_y;
    const index_t seen = visible_columns(args, r);
    fill(y, seen, args.cols, 0.0F);
    whole_row(row, seen, y);
  }
}

// Rows without a mask, each written while the next is computed. What a row gets depends on its
// scores alone: a short one and one whose sum is not sound are left to whole_row.
void rows_in_stream(const SoftmaxArgs<float>& args, index_t first, index_t count) {
  alignas(64) float buffer[longest_streamed];
  const auto scale = static_cast<float>(static_cast<double>(args.scale) * 0x1.71547652b82fep+0);
  Waiting waiting;
  for (index_t r = first; r < first + count; ++r) {
    const float* const x = args.x + r * args.stride_x;
    float* const y = args.y + r * args.stride_y;
    const index_t seen = visible_columns(args, r);
    fill(y, seen, args.cols, 0.0F);
    if (seen >= lanes) {
      const double sum = stream_row(x, seen, scale, waiting, buffer);
      waiting = {};
      if (sum == sum) {
        waiting = {y, seen, inverse(sum)};
        continue;
      }
    }
    whole_row(Row<false>{x, nullptr, vf(args.scale)}, seen, y);
  }
  write_row(waiting, buffer, 0);
}

}  // namespace

void softmax_rows(const SoftmaxArgs<float>& args, index_t first, index_t count) {
  if (args.mask != nullptr) return rows_alone<true>(args, first, count);
  if (lanes <= args.cols && args.cols <= longest_streamed) {
    return rows_in_stream(args, first, count);
  }
  rows_alone<false>(args, first, count);
}

void softmax_backward_rows(index_t rows, index_t cols, float scale, const float* y, const float* dy,
                           float* dx) {
  for (index_t r = 0; r < rows; ++r, y += cols, dy += cols, dx += cols) {
    vf s0(0.0F), s1(0.0F);
    index_t c = 0;
    for (; c + 2 * lanes <= cols; c += 2 * lanes) {
      s0 = fused(vf::load_unaligned(y + c), vf::load_unaligned(dy + c), s0);
      s1 = fused(vf::load_unaligned(y + c + lanes), vf::load_unaligned(dy + c + lanes), s1);
    }
    for (; c < cols; c += lanes) {
      const index_t rest = cols - c < lanes ? cols - c : lanes;
      s0 = rest == lanes ? fused(vf::load_unaligned(y + c), vf::load_unaligned(dy + c), s0)
                         : fused(load_partial(y + c, rest), load_partial(dy + c, rest), s0);
    }
    const vf sum(static_cast<float>(sum_of(s0 + s1))), factor(scale);
    for (c = 0; c + lanes <= cols; c += lanes) {
      const vf slope = vf::load_unaligned(dy + c) - sum;
      (factor * vf::load_unaligned(y + c) * slope).store_unaligned(dx + c);
    }
    if (const index_t rest = cols - c; rest > 0) {
      const vf slope = load_partial(dy + c, rest) - sum;
      store_partial(dx + c, rest, factor * load_partial(y + c, rest) * slope);
    }
  }
}

}  // namespace attn::kernels::ATTN_ISA_NS
