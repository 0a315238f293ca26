#pragma once

#include "kernels/quant/quant.hpp"
#include "support/numbers.hpp"

#include <cstdint>
#include <vector>

namespace attn::test {

/// Random W [n, k] in rows of a type, and what they decode to.
struct StoredMatrix {
  std::vector<std::uint8_t> bytes;  ///< from byte 1 on: unaligned
  std::vector<float> values;        ///< [n, k]
  [[nodiscard]] const std::uint8_t* data() const { return bytes.data() + 1; }
};

/// Formats that quantize() does not write get random steps with a scale of 2^-6.
inline StoredMatrix random_stored(kernels::WeightType type, kernels::index_t n, kernels::index_t k,
                                  std::uint32_t seed) {
  using kernels::WeightType;
  StoredMatrix m;
  const kernels::index_t count = n * k, size = kernels::row_bytes(type, count);
  m.bytes.resize(static_cast<std::size_t>(size) + 1);
  if (kernels::can_quantize(type)) {
    const std::vector<float> w = random_values<float>(static_cast<std::size_t>(count), seed);
    kernels::quantize(type, count, w.data(), m.bytes.data() + 1);
  } else {
    std::uint32_t state = seed;
    for (std::uint8_t& byte : m.bytes) {
      state = state * 1664525U + 1013904223U;
      byte = static_cast<std::uint8_t>(state >> 24);
    }
    for (kernels::index_t b = 0; b < size; b += kernels::block_bytes(type)) {
      std::uint8_t* const block = m.bytes.data() + 1 + b;
      const auto scale = [&](int at) { block[at] = 0, block[at + 1] = 0x24; };
      if (type == WeightType::q6_k) {
        scale(208);
      } else {
        scale(0);
        if (type != WeightType::q5_0) scale(2);
      }
    }
  }
  m.values.resize(static_cast<std::size_t>(count));
  kernels::dequantize(kernels::Isa::scalar, type, count, m.bytes.data() + 1, m.values.data());
  return m;
}

}  // namespace attn::test
