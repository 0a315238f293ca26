#include "runtime/formats/text.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace attn::runtime {
namespace {

constexpr std::size_t longest_quote = 80;  // a message stays readable as one line

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

}  // namespace

std::string quote(std::string_view text) {
  std::string head(text.substr(0, longest_quote));
  // dump() escapes the other control characters, but lets DEL through
  std::replace(head.begin(), head.end(), '\x7f', '?');
  const std::string line =
      nlohmann::json(head).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return text.size() > longest_quote ? line + "…" : line;
}

std::string one_line(std::string text) {
  std::replace_if(text.begin(), text.end(), is_control, ' ');
  return text;
}

std::string path_text(const std::filesystem::path& path) {
  const std::string& text = path.native();
  const bool plain = !text.empty() && std::none_of(text.begin(), text.end(), is_control);
  return plain ? text : quote(text);
}

std::string hex_digits(std::uint64_t number) {
  std::string digits;
  for (int shift = 60; shift >= 0; shift -= 4) digits += "0123456789abcdef"[number >> shift & 15U];
  return digits;
}

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (const std::int64_t dimension : shape) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(dimension);
  }
  return text + "]";
}

}  // namespace attn::runtime
