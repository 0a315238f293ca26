#include "tools/common/choices.hpp"

#include "attn/error.hpp"
#include "tools/common/tool.hpp"

#include <charconv>
#include <cmath>
#include <set>
#include <string_view>

namespace attn::tools {

std::string given_of(std::initializer_list<Given> options) {
  std::string names;
  for (const Given& option : options) {
    if (option.given) names += (names.empty() ? "" : ", ") + std::string(option.name);
  }
  return names;
}

std::vector<int> number_list(const char* option, const std::optional<std::string>& text,
                             int count) {
  std::set<int> numbers;
  if (!text) {
    for (int i = 0; i < count; ++i) numbers.insert(i);
  } else {
    const auto number = [&](const std::string& part) {
      return static_cast<int>(whole_number(option, part, 0, count - 1));
    };
    for (const std::string& part : word_list(option, *text)) {
      const std::size_t dash = part.find('-', 1);
      const int first = number(part.substr(0, dash));
      const int last = dash == std::string::npos ? first : number(part.substr(dash + 1));
      if (last < first) {
        throw Error(ErrorKind::usage, std::string(option) + " " + part + ": ends before it begins");
      }
      for (int i = first; i <= last; ++i) numbers.insert(i);
    }
  }
  return {numbers.begin(), numbers.end()};
}

Precision precision_choice(const std::optional<std::string>& text) {
  const std::string name = text.value_or("auto");
  if (name == "f32") return Precision::f32;
  if (name == "bf16") return Precision::bf16;
  if (name == "auto") return Precision::automatic;
  throw Error(ErrorKind::usage, "--precision " + name + ": needs auto, f32 or bf16");
}

std::size_t byte_count(const char* option, const std::string& text) {
  const auto refuse = [&] {
    throw Error(ErrorKind::usage, std::string(option) + " " + (text.empty() ? "''" : text) +
                                      ": needs a number of bytes above 0, as 800M or 1.5G");
  };
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, std::chars_format::fixed);
  if (error != std::errc{}) refuse();
  std::string_view unit(stop, static_cast<std::size_t>(end - stop));
  constexpr std::string_view letters = "KMGT";
  if (!unit.empty()) {
    const std::size_t power = letters.find(unit[0] & ~0x20);  // in either case
    unit.remove_prefix(1);
    if (power == std::string_view::npos || !(unit.empty() || unit == "B" || unit == "iB")) refuse();
    value *= std::pow(1024.0, static_cast<double>(power + 1));
  }
  constexpr double most = 0x1p62;
  if (!(value >= 1 && value <= most)) refuse();
  return static_cast<std::size_t>(value);
}

}  // namespace attn::tools
