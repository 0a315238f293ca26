#pragma once

#include "kernels/quant/quant.hpp"

namespace attn::kernels {

using Dequantize = void (*)(WeightType type, index_t n, const void* from, float* to);

namespace scalar {
void dequantize(WeightType type, index_t n, const void* from, float* to);
}
namespace avx2 {
void dequantize(WeightType type, index_t n, const void* from, float* to);
}
namespace avx512 {
void dequantize(WeightType type, index_t n, const void* from, float* to);
}

}  // namespace attn::kernels
