#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace attn::models {

/// A character of a text: its code point, or for a byte that is no UTF-8 0x110000 plus the byte.
struct Character {
  std::uint32_t code = 0;
  std::uint32_t length = 0;  ///< bytes
  [[nodiscard]] bool valid() const noexcept { return code < 0x110000; }
};

/// The character that begins at byte `at` (< text.size()).
[[nodiscard]] Character character_at(std::string_view text, std::size_t at) noexcept;

/// The character that ends a text, which is not empty.
[[nodiscard]] Character last_character(std::string_view text) noexcept;

void append_utf8(std::string& text, std::uint32_t code);

/// Bytes that are not UTF-8 replaced by U+FFFD, each.
[[nodiscard]] std::string valid_utf8(std::string_view text);

// General categories of Unicode; false for bytes that are no UTF-8.
[[nodiscard]] bool is_letter(std::uint32_t code) noexcept;           ///< L*
[[nodiscard]] bool is_number(std::uint32_t code) noexcept;           ///< N*
[[nodiscard]] bool is_punctuation(std::uint32_t code) noexcept;      ///< P*
[[nodiscard]] bool is_nonspacing_mark(std::uint32_t code) noexcept;  ///< Mn
[[nodiscard]] bool is_other(std::uint32_t code) noexcept;            ///< C* but unassigned ones
/// What \w of regular expressions stands for: letters, marks, digits, connecting punctuation,
/// joiners.
[[nodiscard]] bool is_word(std::uint32_t code) noexcept;
/// The property White_Space.
[[nodiscard]] bool is_space(std::uint32_t code) noexcept;

enum class NormalForm { nfc, nfd, nfkc, nfkd };

/// In that normal form; bytes that are no UTF-8 stay. Throws Error(memory).
[[nodiscard]] std::string normalized(std::string_view text, NormalForm form);

/// In lower case, character by character, without regard to neighbours (Rust's char::to_lowercase).
void append_lower(std::string& text, std::uint32_t code);

}  // namespace attn::models
