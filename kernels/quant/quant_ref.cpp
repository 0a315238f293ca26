#include "kernels/quant/blocks.hpp"
#include "kernels/quant/quant_levels.hpp"

namespace attn::kernels::scalar {
namespace {

template <class Block>
void decode_row(index_t n, const uint8_t* from, float* to) {
  for (index_t i = 0; i < n; i += Block::weights, from += Block::bytes) {
    Block::decode(from, to + i);
  }
}

}  // namespace

void dequantize(WeightType type, index_t n, const void* from, float* to) {
  const auto* const bytes = static_cast<const uint8_t*>(from);
  switch (type) {
    case WeightType::f32: return decode_row<F32>(n, bytes, to);
    case WeightType::f16: return decode_row<F16>(n, bytes, to);
    case WeightType::bf16: return decode_row<BF16>(n, bytes, to);
    case WeightType::q8_0: return decode_row<Q8_0>(n, bytes, to);
    case WeightType::q4_0: return decode_row<Q4_0>(n, bytes, to);
    case WeightType::q4_1: return decode_row<Q4_1>(n, bytes, to);
    case WeightType::q5_0: return decode_row<Q5_0>(n, bytes, to);
    case WeightType::q5_1: return decode_row<Q5_1>(n, bytes, to);
    case WeightType::q4_k: return decode_row<Q4_K>(n, bytes, to);
    case WeightType::q5_k: return decode_row<Q5_K>(n, bytes, to);
    case WeightType::q6_k: return decode_row<Q6_K>(n, bytes, to);
  }
}

}  // namespace attn::kernels::scalar
