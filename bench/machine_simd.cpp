#include "bench/machine_levels.hpp"
#include "kernels/simd.hpp"

namespace attn::bench::ATTN_ISA_NS {

using kernels::ATTN_ISA_NS::lanes;
using kernels::ATTN_ISA_NS::vf;

// More independent chains than latency times units (4 cycles × 2 on Zen and Golden Cove), and few
// enough for the sixteen registers of AVX2.
float arithmetic_loop(index_t steps, float factor) {
  vf sums[arithmetic_chains];
  for (int u = 0; u < arithmetic_chains; ++u) sums[u] = vf(static_cast<float>(u));
  const vf scale(factor), shift(1 - factor);
  for (index_t step = 0; step < steps; ++step) {
    for (vf& sum : sums) sum = kernels::ATTN_ISA_NS::fused(sum, scale, shift);
  }
  vf total(0.0F);
  for (const vf sum : sums) total += sum;
  return total.get(0);
}

int arithmetic_lanes() { return static_cast<int>(lanes); }

void copy_loop(index_t n, const float* from, float* to) {
  for (index_t i = 0; i + 4 * lanes <= n; i += 4 * lanes) {
    for (index_t u = 0; u < 4; ++u) {
      vf::load_unaligned(from + i + u * lanes).store_unaligned(to + i + u * lanes);
    }
  }
}

void update_loop(index_t n, float* values) {
  for (index_t i = 0; i + 4 * lanes <= n; i += 4 * lanes) {
    for (index_t u = 0; u < 4; ++u) {
      float* const at = values + i + u * lanes;
      (-vf::load_unaligned(at)).store_unaligned(at);
    }
  }
}

float read_loop(index_t n, const float* from) {
  vf sums[8];
  for (vf& sum : sums) sum = vf(0.0F);
  for (index_t i = 0; i + 8 * lanes <= n; i += 8 * lanes) {
    for (index_t u = 0; u < 8; ++u) sums[u] += vf::load_unaligned(from + i + u * lanes);
  }
  for (index_t u = 1; u < 8; ++u) sums[0] += sums[u];
  return sums[0].get(0);
}

}  // namespace attn::bench::ATTN_ISA_NS
