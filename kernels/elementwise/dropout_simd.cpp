#include "kernels/elementwise/dropout_levels.hpp"
#include "kernels/reduce/lane_sums.hpp"

namespace attn::kernels::ATTN_ISA_NS {

void dropout(const DropoutKey& key, float scale, index_t n, const float* x, float* y) {
  // Factors of a block, apart from x and y, which may be one: the compiler takes them in vectors.
  constexpr index_t block = 512;
  alignas(64) float factors[block];
  for (index_t begin = 0; begin < n; begin += block) {
    for (index_t i = 0; i < block; ++i) {
      factors[i] = is_kept(key, static_cast<std::uint32_t>(begin + i)) ? scale : 0.0F;
    }
    const index_t count = n - begin < block ? n - begin : block;
    for_vectors(count, [&](index_t i, auto at) {
      const vf factor = at.load(factors + i), kept = at.load(x + begin + i) * factor;
      // what is dropped is 0 whatever it was
      at.store(y + begin + i, xsimd::select(factor > vf(0.0F), kept, vf(0.0F)));
    });
  }
}

}  // namespace attn::kernels::ATTN_ISA_NS
