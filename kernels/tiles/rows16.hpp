#pragma once

#include "kernels/types.hpp"
#include "kernels/workers.hpp"

#include <cstdint>

namespace attn::kernels {

/// Rows of activations in 16 bits, for products with tiles of integers: a block of 32 numbers is
/// scale · q with q = 256 · high + low whole and |q| ≤ 32512, so the largest number of a block is
/// off by 2⁻¹⁶ of it at most. A block with a number that is not finite has a NaN as its scale.
struct Rows16 {
  static constexpr index_t block_bytes = 64;
  index_t blocks = 0;             ///< a row
  std::int8_t* halves = nullptr;  ///< [rows, blocks, 64]: `high`[32], `low`[32]
  /// [rows, blocks, 64], where a CPU has no dot products of bytes: q[32] in 16 bits, in the order
  /// 0 2 1 3 within every four.
  std::int8_t* words = nullptr;
  float* scale = nullptr;  ///< [rows, blocks]
  float* sums = nullptr;   ///< [rows, 2 blocks]: of the numbers as rounded, 16 at a time
};

[[nodiscard]] constexpr index_t rows16_bytes(index_t rows, index_t k) {
  const index_t blocks = (k + 31) / 32;
  return rows * blocks * (2 * Rows16::block_bytes + 3 * static_cast<index_t>(sizeof(float))) + 128;
}

/// Lays the arrays of `rows` rows of k numbers into rows16_bytes() bytes, 64-byte aligned.
[[nodiscard]] inline Rows16 rows16_in(void* memory, index_t rows, index_t k) {
  Rows16 to;
  to.blocks = (k + 31) / 32;
  to.halves = static_cast<std::int8_t*>(memory);
  to.scale = reinterpret_cast<float*>(to.halves + rows * to.blocks * Rows16::block_bytes);
  to.sums = to.scale + rows * to.blocks;
  // last: where they are not used, nothing of them is touched
  to.words = reinterpret_cast<std::int8_t*>(to.sums + 2 * rows * to.blocks);
  return to;
}

}  // namespace attn::kernels
