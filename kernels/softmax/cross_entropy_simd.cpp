#include "kernels/reduce/lane_sums.hpp"
#include "kernels/softmax/exp2_simd.hpp"
#include "kernels/softmax/softmax_levels.hpp"

namespace attn::kernels::ATTN_ISA_NS {
namespace {

constexpr float log2_e = 0x1.715476p+0F;

// Where an operand is NaN the instruction answers with its second: a NaN in x is passed over here
// and shows in the sum.
#if defined(ATTN_ISA_avx512)
vf larger(vf x, vf most) { return _mm512_max_ps(x, most); }
#else
vf larger(vf x, vf most) { return _mm256_max_ps(x, most); }
#endif

// In four chains: one would wait for its own latency.
float largest_of_row(index_t cols, const float* z) {
  const vf nothing(-__builtin_inff());
  vf most[4] = {nothing, nothing, nothing, nothing};
  index_t c = 0;
  for (; c + 4 * lanes <= cols; c += 4 * lanes) {
    for (index_t u = 0; u < 4; ++u) {
      most[u] = larger(vf::load_unaligned(z + c + u * lanes), most[u]);
    }
  }
  for (; c + lanes <= cols; c += lanes) most[0] = larger(vf::load_unaligned(z + c), most[0]);
  if (c < cols) {
    const vf rest = fill_from(load_partial(z + c, cols - c), cols - c, -__builtin_inff());
    most[1] = larger(rest, most[1]);
  }
  return largest(larger(larger(most[0], most[1]), larger(most[2], most[3])));
}

// Σ e^(z − most); with `keep` the exponentials take the place of z.
template <bool keep>
double exponentials(index_t cols, vf most, float* z) {
  const Sums<1> sums = lane_sums<1>(cols, [=](index_t c, auto at) {
    const vf e = exp2_of_negative((at.load(z + c) - most) * vf(log2_e));
    if constexpr (keep) at.store(z + c, e);
    return Sums<1>{{at.keep(e)}};
  });
  return sum_of(sums.v[0]);
}

}  // namespace

double cross_entropy_row(index_t cols, index_t target, float scale, bool gradient, float* z) {
  const float most = largest_of_row(cols, z);
  const double above = static_cast<double>(most) - static_cast<double>(z[target]);
  if (!gradient) return above + __builtin_log(exponentials<false>(cols, vf(most), z));
  const double sum = exponentials<true>(cols, vf(most), z);
  const vf factor(static_cast<float>(static_cast<double>(scale) / sum));
  for_vectors(cols, [=](index_t c, auto at) { at.store(z + c, at.load(z + c) * factor); });
  z[target] -= scale;
  return above + __builtin_log(sum);
}

}  // namespace attn::kernels::ATTN_ISA_NS
