#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>

namespace attn::runtime {

/// a + b, or nothing if the type cannot hold it. Every size, offset and count that comes from a
/// file goes through these functions before it is used.
template <std::integral T>
[[nodiscard]] constexpr std::optional<T> checked_add(T a, T b) noexcept {
  T sum{};
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

/// a * b, or nothing if the type cannot hold it.
template <std::integral T>
[[nodiscard]] constexpr std::optional<T> checked_multiply(T a, T b) noexcept {
  T product{};
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

/// The number of elements of a tensor of this shape (1 for no dimensions, 0 if one is zero), or
/// nothing if a dimension is negative or the product of the others wraps. The latter is asked of a
/// tensor with a zero dimension too: its strides are made of them, whatever their order.
[[nodiscard]] constexpr std::optional<std::int64_t> checked_elements(
    std::span<const std::int64_t> shape) noexcept {
  std::int64_t product = 1;
  bool empty = false;
  for (const std::int64_t dimension : shape) {
    if (dimension < 0) return std::nullopt;
    if (dimension == 0) {
      empty = true;
      continue;
    }
    const auto next = checked_multiply(product, dimension);
    if (!next) return std::nullopt;
    product = *next;
  }
  return empty ? 0 : product;
}

}  // namespace attn::runtime
