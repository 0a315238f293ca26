#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace attn::runtime {

/// Foreign text as an error message may show it: in double quotes, on one line (control characters
/// escaped), bytes that are not UTF-8 replaced, cut after 80 bytes.
[[nodiscard]] std::string quote(std::string_view text);

/// Foreign text as part of a sentence of an error message: control characters become blanks.
[[nodiscard]] std::string one_line(std::string text);

/// A path, or another name that somebody gave, for a message: as it is, or quoted if it is empty or
/// holds control characters.
[[nodiscard]] std::string path_text(const std::filesystem::path& path);

/// A number in 16 hexadecimal digits.
[[nodiscard]] std::string hex_digits(std::uint64_t number);

/// A shape for a message: "[2, 3]".
[[nodiscard]] std::string shape_text(std::span<const std::int64_t> shape);

}  // namespace attn::runtime
