#pragma once

// What a KV cache keeps of keys and values.

#include "kernels/isa.hpp"
#include "kernels/quant/quant.hpp"

namespace attn::kernels {

/// Can a cache be of that type? f32, bf16 and q8_0.
[[nodiscard]] constexpr bool cache_type(WeightType type) noexcept {
  return type == WeightType::f32 || type == WeightType::bf16 || type == WeightType::q8_0;
}

/// Rounds n numbers to a cache_type(), n whole blocks of it, on the caller's thread; the same bits
/// at every level. from and to do not overlap and may be unaligned.
///   f32   as they are
///   bf16  to nearest even; a NaN stays one
///   q8_0  a block's scale is its largest magnitude / 127 as f16, and the steps are the nearest of
///         that rounded scale: within half a step, and 127 · 2⁻²⁵ more where the scale is subnormal
///         (below 2⁻¹⁴). A block with a number that is not finite, or beyond 127 · 65504, becomes
///         NaN.
void store_in_cache(Isa isa, WeightType type, index_t n, const float* from, void* to);

}  // namespace attn::kernels
