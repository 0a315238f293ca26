#pragma once

#include "runtime/formats/safetensors.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace attn::runtime {

/// The value of attn.checksum for data with this XXH3-64.
[[nodiscard]] std::string checksum_text(std::uint64_t xxh3);

/// The number in a value of attn.checksum, or nothing if it is not written as one.
[[nodiscard]] std::optional<std::uint64_t> parse_checksum(std::string_view text) noexcept;

/// XXH3-64 of the bytes.
[[nodiscard]] std::uint64_t data_checksum(std::span<const std::byte> bytes) noexcept;

/// Where a tensor's first NaN or infinity stands (counted in elements), if it is of a
/// floating-point type and has one.
[[nodiscard]] std::optional<std::size_t> first_non_finite(const TensorEntry& tensor) noexcept;

/// Throws Error(invalid) naming file, tensor and index if the tensor, which stands in rows, has a
/// NaN or infinity.
void require_finite(const TensorEntry& tensor, const std::string& file);

}  // namespace attn::runtime
