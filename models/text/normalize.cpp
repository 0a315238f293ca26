#include "models/text/normalize.hpp"

#include "attn/error.hpp"
#include "models/text/unicode.hpp"

#include <algorithm>
#include <array>

namespace attn::models {
namespace {

// body(character, the string so far) for every character.
template <class Body>
std::string each_character(std::string_view text, Body body) {
  std::string to;
  to.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const Character c = character_at(text, at);
    at += c.length;
    body(c.code, to);
  }
  return to;
}

// BERT's clean_text: control characters go, every blank becomes a space. Bytes that are no UTF-8 go
// as the U+FFFD would that stands for them.
void clean(std::uint32_t code, std::string& to) {
  const bool kept = code == '\t' || code == '\n' || code == '\r';
  if (code == 0 || code == 0xFFFD || code >= 0x110000 || (!kept && is_other(code))) return;
  append_utf8(to, is_space(code) ? ' ' : code);
}

// The blocks of BERT's handle_chinese_chars.
bool chinese(std::uint32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
         (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

// `bytes`: of the text that all steps began with.
std::string replaced(std::string_view text, const std::string& from, const std::string& by,
                     std::size_t bytes) {
  std::string to;
  if (from.empty()) return std::string(text);
  for (std::size_t at = 0;;) {
    const std::size_t found = text.find(from, at);
    to.append(text.substr(at, found - at));
    if (found == std::string_view::npos) return to;
    to += by;
    check_growth(to.size(), bytes);
    at = found + from.size();
  }
}

std::string stripped(std::string_view text, bool left, bool right) {
  std::size_t first = text.size(), last = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Character c = character_at(text, at);
    if (!is_space(c.code)) {
      first = std::min(first, at);
      last = at + c.length;
    }
    at += c.length;
  }
  if (first == text.size()) return "";
  const std::size_t begin = left ? first : 0, end = right ? last : text.size();
  return std::string(text.substr(begin, end - begin));
}

constexpr std::array<std::string_view, 11> kinds{
    "nfc",   "nfd",     "nfkc",    "nfkd",       "lowercase",   "strip_accents",
    "strip", "replace", "prepend", "bert_clean", "bert_chinese"};

std::string step(std::string_view text, const TokenizerStep& s, std::size_t bytes) {
  if (s.kind == "nfc") return normalized(text, NormalForm::nfc);
  if (s.kind == "nfd") return normalized(text, NormalForm::nfd);
  if (s.kind == "nfkc") return normalized(text, NormalForm::nfkc);
  if (s.kind == "nfkd") return normalized(text, NormalForm::nfkd);
  if (s.kind == "lowercase") {
    return each_character(text,
                          [](std::uint32_t code, std::string& to) { append_lower(to, code); });
  }
  if (s.kind == "strip_accents") {
    return each_character(text, [](std::uint32_t code, std::string& to) {
      if (!is_nonspacing_mark(code)) append_utf8(to, code);
    });
  }
  if (s.kind == "bert_clean") return each_character(text, clean);
  if (s.kind == "bert_chinese") {
    return each_character(text, [](std::uint32_t code, std::string& to) {
      const bool alone = chinese(code);
      if (alone) to += ' ';
      append_utf8(to, code);
      if (alone) to += ' ';
    });
  }
  if (s.kind == "strip") return stripped(text, s.flag, s.other);
  if (s.kind == "replace") return replaced(text, s.a, s.b, bytes);
  return text.empty() ? "" : s.a + std::string(text);  // prepend
}

}  // namespace

void check_growth(std::size_t now, std::size_t bytes) {
  if (now <= most_after_steps(bytes)) return;
  throw Error(ErrorKind::invalid, "text: the tokenizer's steps make more than " +
                                      std::to_string(most_after_steps(bytes)) + " bytes of " +
                                      std::to_string(bytes));
}

bool known_normalizer(std::string_view kind) noexcept {
  return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

std::string normalize(std::string_view text, std::span<const TokenizerStep> steps) {
  std::string now(text);
  for (const TokenizerStep& s : steps) {
    now = step(now, s, text.size());
    check_growth(now.size(), text.size());
  }
  return now;
}

}  // namespace attn::models
