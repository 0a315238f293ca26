#include "tools/common/json.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <charconv>

namespace attn::tools {
namespace {

template <class Float>
std::string shortest(Float value) {
  std::array<char, 40> digits{};
  const auto end = std::to_chars(digits.begin(), digits.end(), value).ptr;
  std::string text(digits.begin(), end);
  // a fraction, so that readers which know whole numbers take it as a floating-point one
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

template <class Values, class Text>
std::string list(const Values& values, Text text) {
  std::string out = "[";
  const char* separator = "";
  for (const auto& value : values) {
    out += separator + text(value);
    separator = ", ";
  }
  return out + "]";
}

std::string indent(int depth) {
  std::string blanks(static_cast<std::size_t>(depth) * 2, ' ');
  return blanks;
}

void nest(std::string& out, std::span<const float> values, std::span<const std::int64_t> shape) {
  if (shape.empty()) {
    out += json_number(values.front());
    return;
  }
  const auto count = static_cast<std::size_t>(shape.front());
  const std::size_t part = count == 0 ? 0 : values.size() / count;
  out += '[';
  for (std::size_t i = 0; i < count; ++i) {
    if (i != 0) out += ", ";
    nest(out, values.subspan(i * part, part), shape.subspan(1));
  }
  out += ']';
}

}  // namespace

std::string json_number(float value) { return shortest(value); }
std::string json_number(double value) { return shortest(value); }

std::string json_string(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string json_list(std::span<const float> values) {
  return list(values, [](float value) { return json_number(value); });
}

std::string json_list(std::span<const double> values) {
  return list(values, [](double value) { return json_number(value); });
}

std::string json_list(std::span<const std::int64_t> values) {
  return list(values, [](std::int64_t value) { return std::to_string(value); });
}

std::string json_list(const std::vector<std::string>& values) {
  return list(values, [](const std::string& value) { return json_string(value); });
}

std::string json_nested(std::span<const float> values, const Dims& shape) {
  std::string out;
  nest(out, values, shape);
  return out;
}

void JsonObject::add(std::string_view key, const std::string& json) {
  members_ += members_.empty() ? "" : ",\n";
  members_ += indent(depth_ + 1) + json_string(key) + ": " + json;
}

std::string JsonObject::text() const {
  if (members_.empty()) return "{}";
  return "{\n" + members_ + "\n" + indent(depth_) + "}";
}

std::string json_lines(const std::vector<std::string>& elements, int depth) {
  if (elements.empty()) return "[]";
  std::string out = "[\n";
  for (std::size_t i = 0; i < elements.size(); ++i) {
    out += indent(depth + 1) + elements[i] + (i + 1 < elements.size() ? ",\n" : "\n");
  }
  return out + indent(depth) + "]";
}

}  // namespace attn::tools
