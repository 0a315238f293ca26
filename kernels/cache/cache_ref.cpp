#include "kernels/cache/cache_levels.hpp"
#include "kernels/quant/blocks.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace attn::kernels::scalar {
namespace {

void store_block(const float* x, uint8_t* to) {
  float largest = 0;
  bool in_range = true;  // false for a NaN
  for (int i = 0; i < Q8_0::weights; ++i) {
    largest = std::max(largest, std::fabs(x[i]));
    in_range = in_range && std::fabs(x[i]) <= largest_in_q8_0;
  }
  const float wanted = in_range ? largest / 127 : std::numeric_limits<float>::quiet_NaN();
  quantize(WeightType::f16, 1, &wanted, to);
  const float scale = load_half(to), inverse = scale > 0 ? 1 / scale : 0;
  for (int i = 0; i < Q8_0::weights; ++i) {
    // beyond ±127 only where the scale is subnormal
    const float step = in_range ? std::nearbyint(x[i] * inverse) : 0;
    to[2 + i] = static_cast<uint8_t>(static_cast<int8_t>(std::clamp(step, -127.0F, 127.0F)));
  }
}

}  // namespace

void store_in_cache(WeightType type, index_t n, const float* from, uint8_t* to) {
  if (type != WeightType::q8_0) return quantize(type, n, from, to);
  for (index_t i = 0; i < n; i += Q8_0::weights, to += Q8_0::bytes) store_block(from + i, to);
}

}  // namespace attn::kernels::scalar
