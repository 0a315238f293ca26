#include "models/text/unicode.hpp"

#include "attn/error.hpp"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <utf8proc.h>

namespace attn::models {
namespace {

constexpr std::uint32_t no_utf8 = 0x110000;

utf8proc_category_t category(std::uint32_t code) noexcept {
  return code < no_utf8 ? utf8proc_category(static_cast<utf8proc_int32_t>(code))
                        : UTF8PROC_CATEGORY_CN;
}

// M*
bool is_mark(std::uint32_t code) noexcept {
  const utf8proc_category_t c = category(code);
  return c >= UTF8PROC_CATEGORY_MN && c <= UTF8PROC_CATEGORY_ME;
}

void append_normalized(std::string& to, std::string_view part, NormalForm form) {
  if (part.empty()) return;
  int options = UTF8PROC_STABLE;
  const bool composed = form == NormalForm::nfc || form == NormalForm::nfkc;
  options |= composed ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
  if (form == NormalForm::nfkc || form == NormalForm::nfkd) options |= UTF8PROC_COMPAT;
  utf8proc_uint8_t* mapped = nullptr;
  const utf8proc_ssize_t length = utf8proc_map(
      reinterpret_cast<const utf8proc_uint8_t*>(part.data()),
      static_cast<utf8proc_ssize_t>(part.size()), &mapped, static_cast<utf8proc_option_t>(options));
  if (length < 0) throw Error(ErrorKind::memory, std::string("text: ") + utf8proc_errmsg(length));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
  to.append(reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(length));
}

}  // namespace

Character character_at(std::string_view text, std::size_t at) noexcept {
  const auto first = static_cast<unsigned char>(text[at]);
  if (first < 0x80) return {first, 1};
  utf8proc_int32_t code = 0;
  // four bytes at most are looked at
  const auto rest = static_cast<utf8proc_ssize_t>(std::min<std::size_t>(4, text.size() - at));
  const utf8proc_ssize_t length =
      utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data() + at), rest, &code);
  if (length <= 0) return {no_utf8 + first, 1};
  return {static_cast<std::uint32_t>(code), static_cast<std::uint32_t>(length)};
}

Character last_character(std::string_view text) noexcept {
  constexpr std::size_t longest = 4;
  for (std::size_t length = 1; length <= std::min(longest, text.size()); ++length) {
    const std::size_t begin = text.size() - length;
    if ((static_cast<unsigned char>(text[begin]) & 0xC0U) == 0x80U) continue;
    const Character c = character_at(text, begin);
    if (c.length == length) return c;
    break;
  }
  return {no_utf8 + static_cast<unsigned char>(text.back()), 1};
}

void append_utf8(std::string& text, std::uint32_t code) {
  if (code >= no_utf8) {  // the byte itself
    text += static_cast<char>(code - no_utf8);
    return;
  }
  utf8proc_uint8_t bytes[4] = {};  // NOLINT: utf8proc writes there
  const utf8proc_ssize_t length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(code), bytes);
  text.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(length));
}

std::string valid_utf8(std::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const Character c = character_at(text, at);
    if (c.valid()) {
      valid.append(text.substr(at, c.length));
    } else {
      append_utf8(valid, 0xFFFD);
    }
    at += c.length;
  }
  return valid;
}

bool is_letter(std::uint32_t code) noexcept {
  const utf8proc_category_t c = category(code);
  return c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO;
}
bool is_nonspacing_mark(std::uint32_t code) noexcept {
  return category(code) == UTF8PROC_CATEGORY_MN;
}
bool is_number(std::uint32_t code) noexcept {
  const utf8proc_category_t c = category(code);
  return c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO;
}
bool is_punctuation(std::uint32_t code) noexcept {
  const utf8proc_category_t c = category(code);
  return c >= UTF8PROC_CATEGORY_PC && c <= UTF8PROC_CATEGORY_PO;
}
bool is_other(std::uint32_t code) noexcept {
  const utf8proc_category_t c = category(code);
  return c >= UTF8PROC_CATEGORY_CC;
}

bool is_word(std::uint32_t code) noexcept {
  const utf8proc_category_t c = category(code);
  return is_letter(code) || is_mark(code) || c == UTF8PROC_CATEGORY_ND ||
         c == UTF8PROC_CATEGORY_NL || c == UTF8PROC_CATEGORY_PC || code == 0x200C || code == 0x200D;
}

// https://www.unicode.org/Public/15.0.0/ucd/PropList.txt, White_Space
bool is_space(std::uint32_t code) noexcept {
  return (code >= 9 && code <= 13) || code == 0x20 || code == 0x85 || code == 0xA0 ||
         code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 ||
         code == 0x202F || code == 0x205F || code == 0x3000;
}

std::string normalized(std::string_view text, NormalForm form) {
  std::string to;
  to.reserve(text.size());
  // pieces of valid UTF-8 between bytes that are none
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Character c = character_at(text, at);
    if (!c.valid()) {
      append_normalized(to, text.substr(begin, at - begin), form);
      to += text[at];
      begin = at + 1;
    }
    at += c.length;
  }
  append_normalized(to, text.substr(begin), form);
  return to;
}

void append_lower(std::string& text, std::uint32_t code) {
  if (code >= no_utf8) return append_utf8(text, code);
  // the one character whose lower case is two (SpecialCasing.txt, unconditional)
  if (code == 0x130) {
    append_utf8(text, 'i');
    return append_utf8(text, 0x307);
  }
  append_utf8(text,
              static_cast<std::uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code))));
}

}  // namespace attn::models
