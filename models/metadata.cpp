#include "models/metadata.hpp"

#include "attn/error.hpp"
#include "runtime/formats/json.hpp"

#include <charconv>
#include <cmath>

namespace attn::models {

using runtime::Json;

bool Metadata::has(std::string_view key) const { return values_.contains(std::string(key)); }

const std::string& Metadata::text(std::string_view key) const {
  const auto found = values_.find(std::string(key));
  if (found == values_.end()) {
    throw Error(ErrorKind::invalid, "metadata '" + std::string(key) + "' is missing");
  }
  return found->second;
}

std::int64_t Metadata::integer(std::string_view key, std::int64_t low, std::int64_t high) const {
  const std::string& value = text(key);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc{} || end != value.data() + value.size() || number < low || number > high) {
    throw Error(ErrorKind::invalid, "metadata '" + std::string(key) + "' is '" + value +
                                        "', not a whole number in " + std::to_string(low) + ".." +
                                        std::to_string(high));
  }
  return number;
}

std::optional<double> Metadata::number(std::string_view key) const {
  if (!has(key)) return std::nullopt;
  const std::string& value = text(key);
  double number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc{} || end != value.data() + value.size() || !std::isfinite(number)) {
    throw Error(ErrorKind::invalid,
                "metadata '" + std::string(key) + "' is '" + value + "', not a finite number");
  }
  return number;
}

std::vector<std::string> Metadata::strings(std::string_view key) const {
  const std::string field = "metadata '" + std::string(key) + "'";
  const Json list = runtime::parse_json(text(key), field);
  if (!list.is_array()) {
    throw Error(ErrorKind::invalid, field + " is " + runtime::json_text(list) + ", not a list");
  }
  std::vector<std::string> strings;
  for (std::size_t i = 0; i < list.size(); ++i) {
    strings.push_back(runtime::json_string(list[i], field + "[" + std::to_string(i) + "]"));
  }
  return strings;
}

std::string Metadata::sentence(std::string_view key) const {
  if (!has(key)) return {};
  const std::string& value = text(key);
  if (!value.starts_with('"')) return value;
  const std::string field = "metadata '" + std::string(key) + "'";
  return runtime::json_string(runtime::parse_json(value, field), field);
}

std::string to_json(const std::vector<std::string>& strings) { return Json(strings).dump(); }
std::string to_json(const std::string& string) { return Json(string).dump(); }

}  // namespace attn::models
