#include "runtime/formats/safetensors_check.hpp"

#include "attn/error.hpp"
#include "runtime/formats/text.hpp"

#include <algorithm>
#include <cstring>
#include <xxhash.h>

namespace attn::runtime {
namespace {

constexpr std::string_view checksum_prefix = "xxh3:";
constexpr std::size_t checksum_digits = 16;

template <class Bits>
Bits load(std::span<const std::byte> bytes, std::size_t i) noexcept {
  Bits value;
  std::memcpy(&value, bytes.data() + i * sizeof(Bits), sizeof(Bits));  // tensors may be unaligned
  return value;
}

/// The first element whose exponent bits are all set, which is what NaN and infinity have in
/// common.
template <class Bits>
std::optional<std::size_t> first_with_exponent(std::span<const std::byte> bytes,
                                               Bits exponent) noexcept {
  const std::size_t n = bytes.size() / sizeof(Bits);
  // blocks without a way out in the middle are what the compiler vectorises
  constexpr std::size_t block = 1024;
  for (std::size_t begin = 0; begin < n; begin += block) {
    const std::size_t end = std::min(n, begin + block);
    Bits found = 0;
    for (std::size_t i = begin; i < end; ++i) {
      found = static_cast<Bits>(found | ((load<Bits>(bytes, i) & exponent) == exponent ? 1 : 0));
    }
    if (found == 0) continue;
    for (std::size_t i = begin; i < end; ++i) {
      if ((load<Bits>(bytes, i) & exponent) == exponent) return i;
    }
  }
  return std::nullopt;
}

}  // namespace

std::string checksum_text(std::uint64_t xxh3) {
  return std::string(checksum_prefix) + hex_digits(xxh3);
}

std::optional<std::uint64_t> parse_checksum(std::string_view text) noexcept {
  if (!text.starts_with(checksum_prefix)) return std::nullopt;
  text.remove_prefix(checksum_prefix.size());
  if (text.size() != checksum_digits) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    const std::size_t digit = std::string_view("0123456789abcdef").find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    value = value << 4 | digit;
  }
  return value;
}

std::uint64_t data_checksum(std::span<const std::byte> bytes) noexcept {
  return XXH3_64bits(bytes.data(), bytes.size());
}

std::optional<std::size_t> first_non_finite(const TensorEntry& tensor) noexcept {
  switch (tensor.dtype) {
    case DType::f64: return first_with_exponent<std::uint64_t>(tensor.data, 0x7FF0'0000'0000'0000);
    case DType::f32: return first_with_exponent<std::uint32_t>(tensor.data, 0x7F80'0000);
    case DType::f16: return first_with_exponent<std::uint16_t>(tensor.data, 0x7C00);
    case DType::bf16: return first_with_exponent<std::uint16_t>(tensor.data, 0x7F80);
    default: break;  // whole numbers, and block formats, which a container does not hold
  }
  return std::nullopt;
}

void require_finite(const TensorEntry& tensor, const std::string& file) {
  const std::optional<std::size_t> place = first_non_finite(tensor);
  if (!place) return;
  std::vector<std::int64_t> index(tensor.shape.size());
  auto rest = static_cast<std::int64_t>(*place);
  for (std::size_t d = index.size(); d-- > 0; rest /= tensor.shape[d]) {
    index[d] = rest % tensor.shape[d];
  }
  throw Error(ErrorKind::invalid, file + ": tensor " + quote(tensor.name) +
                                      " holds NaN or infinity at index " + shape_text(index));
}

}  // namespace attn::runtime
