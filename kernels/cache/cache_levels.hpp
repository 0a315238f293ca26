#pragma once

#include "kernels/quant/quant.hpp"

#include <stdint.h>

namespace attn::kernels {

using StoreInCache = void (*)(WeightType type, index_t n, const float* from, uint8_t* to);

/// The largest magnitude whose q8_0 scale is a finite f16.
inline constexpr float largest_in_q8_0 = 127 * 65504.0F;

namespace scalar {
void store_in_cache(WeightType type, index_t n, const float* from, uint8_t* to);
}

// widen_rows, for the other kernels of a level: to[r · to_row + i] = number i < n of row r,
// exactly, with zeros up to whole vectors (to_row has room for them); rows begin `from_row` bytes
// after each other, and are of bf16 or q8_0.
namespace avx2 {
void store_in_cache(WeightType type, index_t n, const float* from, uint8_t* to);
void widen_rows(WeightType type, index_t rows, index_t n, const uint8_t* from, index_t from_row,
                float* to, index_t to_row);
}  // namespace avx2
namespace avx512 {
void store_in_cache(WeightType type, index_t n, const float* from, uint8_t* to);
void widen_rows(WeightType type, index_t rows, index_t n, const uint8_t* from, index_t from_row,
                float* to, index_t to_row);
}  // namespace avx512

}  // namespace attn::kernels
