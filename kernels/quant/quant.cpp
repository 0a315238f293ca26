#include "kernels/quant/quant.hpp"

#include "kernels/dispatch.hpp"
#include "kernels/quant/blocks.hpp"
#include "kernels/quant/quant_levels.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace attn::kernels {
namespace {

struct Row {
  index_t weights, bytes;
};

template <class Block>
constexpr Row row() {
  return {Block::weights, Block::bytes};
}

// in the order of WeightType
constexpr Row rows[] = {row<F32>(),  row<F16>(),  row<BF16>(), row<Q8_0>(),
                        row<Q4_0>(), row<Q4_1>(), row<Q5_0>(), row<Q5_1>(),
                        row<Q4_K>(), row<Q5_K>(), row<Q6_K>()};

// Round to nearest even, by adding half of the last place in the integer domain.
std::uint16_t bfloat_bits(float value) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return static_cast<std::uint16_t>(bits >> 16 | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16);
}

std::uint16_t half_bits(float value) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000U);
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  std::uint32_t result = 0;
  if (magnitude > 0x7f800000U) {
    result = 0x7e00U | (magnitude >> 13 & 0x3ffU);
  } else if (magnitude >= 0x477ff000U) {  // 65520 rounds to infinity
    result = 0x7c00U;
  } else if (magnitude < 0x38800000U) {  // a subnormal half: multiples of 2^-24, ties to even
    result = static_cast<std::uint32_t>(std::nearbyint(std::fabs(value) * 0x1p24F));
  } else {
    result = (magnitude - 0x38000000U + 0xfffU + (magnitude >> 13 & 1U)) >> 13;
  }
  return static_cast<std::uint16_t>(sign | result);
}

void store_u16(std::uint16_t value, std::uint8_t* to) { std::memcpy(to, &value, sizeof value); }

// The scales are ggml's (quantize_row_*_ref): the largest magnitude gets the largest step.
void encode_q8_0(const float* x, std::uint8_t* to) {
  float largest = 0;
  for (int i = 0; i < 32; ++i) largest = std::max(largest, std::fabs(x[i]));
  const float d = largest / 127, inverse = d != 0 ? 1 / d : 0;
  store_u16(half_bits(d), to);
  for (int i = 0; i < 32; ++i) {
    to[2 + i] = static_cast<std::uint8_t>(static_cast<std::int8_t>(std::round(x[i] * inverse)));
  }
}

void encode_q4_0(const float* x, std::uint8_t* to) {
  float extreme = 0;  // the one farthest from 0, with its sign: it becomes −8
  for (int i = 0; i < 32; ++i) {
    if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
  }
  const float d = extreme / -8, inverse = d != 0 ? 1 / d : 0;
  store_u16(half_bits(d), to);
  const auto step = [&](float value) {
    return static_cast<std::uint8_t>(
        std::min(15, static_cast<int>(std::trunc(value * inverse + 8.5F))));
  };
  for (int i = 0; i < 16; ++i) {
    to[2 + i] = static_cast<std::uint8_t>(step(x[i]) | step(x[i + 16]) << 4);
  }
}

void encode_q4_1(const float* x, std::uint8_t* to) {
  const auto [low, high] = std::minmax_element(x, x + 32);
  const float m = *low, d = (*high - m) / 15, inverse = d != 0 ? 1 / d : 0;
  store_u16(half_bits(d), to);
  store_u16(half_bits(m), to + 2);
  const auto step = [&](float value) {
    return static_cast<std::uint8_t>(
        std::min(15, static_cast<int>(std::trunc((value - m) * inverse + 0.5F))));
  };
  for (int i = 0; i < 16; ++i) {
    to[4 + i] = static_cast<std::uint8_t>(step(x[i]) | step(x[i + 16]) << 4);
  }
}

}  // namespace

index_t block_weights(WeightType type) noexcept { return rows[static_cast<int>(type)].weights; }
index_t block_bytes(WeightType type) noexcept { return rows[static_cast<int>(type)].bytes; }

void dequantize(Isa isa, WeightType type, index_t n, const void* from, float* to) {
  at_level<Dequantize>(isa, scalar::dequantize, avx2::dequantize, avx512::dequantize)(type, n, from,
                                                                                      to);
}

bool can_quantize(WeightType type) noexcept { return type <= WeightType::q4_1; }

void quantize(WeightType type, index_t n, const float* from, void* to) {
  auto* bytes = static_cast<std::uint8_t*>(to);
  const index_t step = block_weights(type), size = block_bytes(type);
  for (index_t i = 0; i < n; i += step, bytes += size) {
    switch (type) {
      case WeightType::f32: std::memcpy(bytes, from + i, sizeof(float)); break;
      case WeightType::f16: store_u16(half_bits(from[i]), bytes); break;
      case WeightType::bf16: store_u16(bfloat_bits(from[i]), bytes); break;
      case WeightType::q8_0: encode_q8_0(from + i, bytes); break;
      case WeightType::q4_0: encode_q4_0(from + i, bytes); break;
      case WeightType::q4_1: encode_q4_1(from + i, bytes); break;
      default: return;
    }
  }
}

}  // namespace attn::kernels
