#pragma once

#include "kernels/isa.hpp"
#include "kernels/types.hpp"

#include <cstddef>

namespace attn::kernels {

/// How weights are stored. From q8_0 on in blocks with scales of their own, as ggml lays them out
/// (https://github.com/ggml-org/ggml, src/ggml-common.h); a row is a whole number of blocks:
///   q8_0  32 weights   d · q                           d f16, q int8
///   q4_0  32           d · (q − 8)                     q 4 bits
///   q4_1  32           d · q + m                       d, m f16
///   q5_0  32           d · (q − 16)                    q 5 bits, the fifth ones together
///   q5_1  32           d · q + m
///   q4_k  256          (d · s) · q − d_min · m         8 sub-blocks of 32; s, m 6 bits
///   q5_k  256          the same with 5 bits
///   q6_k  256          (d · s) · (q − 32)              16 sub-blocks of 16; s int8
enum class WeightType { f32, f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1, q4_k, q5_k, q6_k };

inline constexpr WeightType all_weight_types[] = {
    WeightType::f32,  WeightType::f16,  WeightType::bf16, WeightType::q8_0,
    WeightType::q4_0, WeightType::q4_1, WeightType::q5_0, WeightType::q5_1,
    WeightType::q4_k, WeightType::q5_k, WeightType::q6_k};

/// Weights of one block: 1 but for block formats.
[[nodiscard]] index_t block_weights(WeightType type) noexcept;
/// Bytes of one block.
[[nodiscard]] index_t block_bytes(WeightType type) noexcept;
/// Bytes of a row of n weights, a whole number of blocks.
[[nodiscard]] inline index_t row_bytes(WeightType type, index_t n) noexcept {
  return n / block_weights(type) * block_bytes(type);
}

/// to[i] = weight i, i < n, a whole number of blocks; `from` of any alignment. The same bits at
/// every level: d, s and q multiply exactly in float32, but for q6_k's last product, which rounds
/// once, as does the sum with the minimum.
void dequantize(Isa isa, WeightType type, index_t n, const void* from, float* to);

/// Can quantize() write the type? f32, f16, bf16, q8_0, q4_0 and q4_1.
[[nodiscard]] bool can_quantize(WeightType type) noexcept;

/// The nearest weights of that type to n numbers, a whole number of blocks: f16 and bf16 rounded to
/// nearest even (a NaN stays one), block formats with ggml's choice of scales. Finite numbers only
/// for block formats.
void quantize(WeightType type, index_t n, const float* from, void* to);

}  // namespace attn::kernels
