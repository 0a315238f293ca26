#include "models/metadata.hpp"

#include "attn/error.hpp"
#include "runtime/formats/json.hpp"
#include "runtime/formats/text.hpp"

#include <charconv>
#include <cmath>
#include <limits>

namespace attn::models {

using runtime::Json;
using runtime::quote;

namespace {

// A text that is a number as a whole; NaN, which is in no range, for any other.
double number_in(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  return whole ? number : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

Metadata Metadata::parameters(std::map<std::string, std::string> values) {
  Metadata parameters(std::move(values));
  parameters.noun_ = "parameter";
  return parameters;
}

std::string Metadata::field(std::string_view key) const {
  return std::string(noun_) + " '" + std::string(key) + "'";
}

bool Metadata::has(std::string_view key) const { return values_.contains(std::string(key)); }

const std::string& Metadata::text(std::string_view key) const {
  const auto found = values_.find(std::string(key));
  if (found == values_.end()) throw Error(ErrorKind::invalid, field(key) + " is missing");
  return found->second;
}

std::int64_t Metadata::integer(std::string_view key, std::int64_t low, std::int64_t high) const {
  const std::string& value = text(key);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc{} || end != value.data() + value.size() || number < low || number > high) {
    throw Error(ErrorKind::invalid, field(key) + " is " + quote(value) +
                                        ", not a whole number in " + std::to_string(low) + ".." +
                                        std::to_string(high));
  }
  return number;
}

double Metadata::number(std::string_view key, double low, double high) const {
  const std::string& value = text(key);
  const double number = number_in(value);
  if (!(number >= low && number <= high)) {
    throw Error(ErrorKind::invalid, field(key) + " is " + quote(value) + ", not a number in " +
                                        to_text(low) + ".." + to_text(high));
  }
  return number;
}

bool Metadata::flag(std::string_view key) const {
  if (!has(key)) return false;
  const std::string& value = text(key);
  if (value != "true" && value != "false") {
    throw Error(ErrorKind::invalid, field(key) + " is " + quote(value) + ", not true or false");
  }
  return value == "true";
}

std::optional<double> Metadata::scale() const {
  constexpr std::string_view key = "attn.scale";
  constexpr double limit = std::numeric_limits<float>::max();  // it multiplies floats
  if (!has(key)) return std::nullopt;
  const std::string& value = text(key);
  const double number = number_in(value);
  if (!(std::fabs(number) <= limit)) {
    throw Error(ErrorKind::invalid, field(key) + " is " + quote(value) + ", not a finite number");
  }
  return number;
}

std::vector<std::string> Metadata::strings(std::string_view key) const {
  const std::string where = field(key);
  const Json list = runtime::parse_json(text(key), where);
  if (!list.is_array()) {
    throw Error(ErrorKind::invalid, where + " is " + runtime::json_text(list) + ", not a list");
  }
  std::vector<std::string> strings;
  for (std::size_t i = 0; i < list.size(); ++i) {
    strings.push_back(runtime::json_string(list[i], where + "[" + std::to_string(i) + "]"));
  }
  return strings;
}

std::vector<std::int32_t> Metadata::ids(std::string_view key, std::int64_t count) const {
  std::vector<std::int32_t> all;
  if (!has(key)) return all;
  const std::string where = field(key);
  const Json list = runtime::parse_json(text(key), where);
  if (!list.is_array()) {
    throw Error(ErrorKind::invalid, where + " is " + runtime::json_text(list) + ", not a list");
  }
  for (const Json& each : list) {
    const std::int64_t id = runtime::json_size(each, where);
    if (id >= count) {
      throw Error(ErrorKind::invalid,
                  where + ": " + std::to_string(id) + " is not in 0.." + std::to_string(count - 1));
    }
    all.push_back(static_cast<std::int32_t>(id));
  }
  return all;
}

std::string Metadata::sentence(std::string_view key) const {
  if (!has(key)) return {};
  const std::string& value = text(key);
  if (!value.starts_with('"')) return value;
  const std::string where = field(key);
  return runtime::json_string(runtime::parse_json(value, where), where);
}

std::string to_text(double number) { return Json(number).dump(); }
std::string to_json(const std::vector<std::string>& strings) { return Json(strings).dump(); }
std::string to_json(const std::string& string) { return Json(string).dump(); }

}  // namespace attn::models
