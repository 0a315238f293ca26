// The loops over a block are plain: the compiler makes vectors of them, and since nothing is fused,
// the bits are those of the scalar truth. f16 goes through the instruction.

#include "kernels/quant/blocks.hpp"
#include "kernels/quant/quant_levels.hpp"
#include "kernels/simd.hpp"

namespace attn::kernels::ATTN_ISA_NS {
namespace {

void decode_halves(index_t n, const uint8_t* from, float* to) {
  index_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + 2 * i));
    _mm256_storeu_ps(to + i, _mm256_cvtph_ps(halves));
  }
  for (; i < n; ++i) to[i] = load_half(from + 2 * i);
}

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
    case WeightType::f32:
      if (n > 0) __builtin_memcpy(to, from, static_cast<size_t>(n) * sizeof(float));
      return;
    case WeightType::f16: return decode_halves(n, bytes, to);
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

}  // namespace attn::kernels::ATTN_ISA_NS
