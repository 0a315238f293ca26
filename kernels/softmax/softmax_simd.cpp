#include "kernels/softmax/exp2_simd.hpp"
#include "kernels/softmax/pipeline_simd.hpp"
#include "kernels/softmax/softmax_levels.hpp"

namespace attn::kernels::ATTN_ISA_NS {
namespace {

constexpr float log2_e = 0x1.715476p+0F;
constexpr float nothing = -__builtin_inff();

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

// e^(z − largest) into y, and its sum; the order of the sum depends on `seen` alone.
template <bool masked>
float row_exponentials(const Row<masked>& row, index_t seen, float largest, float* y) {
  const vf most(largest);
  vf s0(0.0F), s1(0.0F), s2(0.0F), s3(0.0F);
  index_t c = 0;
  for (; c + 4 * lanes <= seen; c += 4 * lanes) {
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
  for (; c + lanes <= seen; c += lanes) {
    const vf e = exp2_of_negative(row.power_at(c, most));
    e.store_unaligned(y + c);
    s0 += e;
  }
  if (c < seen) {
    const vf e = exp2_of_negative(row.power_part(c, seen - c, most));
    store_partial(y + c, seen - c, e);
    s1 += e;
  }
  return sum_of((s0 + s1) + (s2 + s3));
}

// A row of at most one vector never leaves the register.
template <bool masked>
void short_row(const Row<masked>& row, index_t seen, float* y) {
  const float largest = largest_of(row.score_part(0, seen));
  if (largest == nothing) return row_of_nothing(row, seen, y);
  const vf e = exp2_of_negative(row.power_part(0, seen, vf(largest)));
  store_partial(y, seen, e * vf(1.0F / sum_of(e)));
}

// A row of any kind, longer than a vector, in three passes.
template <bool masked>
void long_row(const Row<masked>& row, index_t seen, float* y) {
  const float largest = largest_of(row_largest(row, seen));
  if (largest == nothing) return row_of_nothing(row, seen, y);
  const float sum = row_exponentials(row, seen, largest, y);
  Finishing finishing;
  finishing.y = y;
  finishing.factor = vf(1.0F / sum);
  finishing.row(seen);
}

template <bool masked>
void rows(const SoftmaxArgs<float>& args, index_t first, index_t count) {
  for (index_t r = first; r < first + count; ++r) {
    Row<masked> row{args.x + r * args.stride_x, nullptr, vf(args.scale)};
    if constexpr (masked) row.mask = args.mask + r % args.mask_rows * args.cols;
    float* const y = args.y + r * args.stride_y;
    const index_t seen = visible_columns(args, r);
    fill(y, seen, args.cols, 0.0F);
    if (seen >= lanes) {
      long_row(row, seen, y);
    } else if (seen > 0) {
      short_row(row, seen, y);
    }
  }
}

// The largest and smallest exponent of a row without a mask, in units of log 2.
struct Span {
  float largest, smallest;

  Span(const Extremes& extremes, float scale) {
    const float a = scale * largest_of(extremes.high);
    const float b = scale * -largest_of(vf(0.0F) - extremes.low);
    largest = a > b ? a : b;
    smallest = a > b ? b : a;
  }
  // finite, and not wider than the exponents of a float
  [[nodiscard]] bool tame() const {
    return smallest - largest >= -126.0F && largest < __builtin_inff();
  }
};

// Whole rows without a mask. The extremes are looked for two rows ahead, so that their way through
// the lanes is over when they are needed.
void pipelined_rows(const SoftmaxArgs<float>& args, index_t first, index_t count) {
  const float scale = args.scale * log2_e;
  const float* x = args.x + first * args.stride_x;
  float* y = args.y + first * args.stride_y;
  const auto ahead = [&](index_t r, index_t rows) {
    return x + (r + rows < count ? rows : count - 1 - r) * args.stride_x;
  };
  Finishing before;
  Span now(row_extremes(x, args.cols), scale);
  Span next(row_extremes(ahead(0, 1), args.cols), scale);
  for (index_t r = 0; r < count; ++r, x += args.stride_x, y += args.stride_y) {
    const float* const far = ahead(r, 2);
    Extremes extremes;
    if (now.tame()) {
      const vf shift(-now.largest);
      const float sum =
          before.y == nullptr
              ? pipelined_row<false>(args.cols, x, vf(scale), shift, y, before, far, extremes)
              : pipelined_row<true>(args.cols, x, vf(scale), shift, y, before, far, extremes);
      before.y = y;
      before.factor = vf(1.0F / sum);
    } else {
      before.row(args.cols);
      before.y = nullptr;
      extremes = row_extremes(far, args.cols);  // before y is written: it may be x
      const Row<false> row{x, nullptr, vf(args.scale)};
      long_row(row, args.cols, y);
    }
    now = next;
    next = Span(extremes, scale);
  }
  before.row(args.cols);
}

}  // namespace

void softmax_rows(const SoftmaxArgs<float>& args, index_t first, index_t count) {
  if (args.mask == nullptr && !args.causal && args.cols >= lanes) {
    if (count > 0) pipelined_rows(args, first, count);
  } else if (args.mask == nullptr) {
    rows<false>(args, first, count);
  } else {
    rows<true>(args, first, count);
  }
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
    const vf sum(sum_of(s0 + s1)), factor(scale);
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
