#include "models/text/jinja/syntax.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace attn::models::jinja {

Value Arguments::get(std::size_t i, std::string_view key) const {
  if (i < plain.size()) return plain[i];
  for (const auto& [name, value] : named) {
    if (name == key) return value;
  }
  return undefined();
}

void Arguments::check(const std::string& function,
                      std::initializer_list<std::string_view> names) const {
  if (plain.size() > names.size()) throw function + ": too many arguments";
  for (const auto& [name, value] : named) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) throw function + ": unknown argument '" + name + "'";
    if (static_cast<std::size_t>(found - names.begin()) < plain.size()) {
      throw function + ": '" + name + "' twice";
    }
  }
}

bool truth(const Value& value) {
  switch (value.type()) {
    case Value::value_t::boolean: return value.get<bool>();
    case Value::value_t::number_integer:
    case Value::value_t::number_unsigned: return value.get<long long>() != 0;
    case Value::value_t::number_float: return value.get<double>() != 0;
    case Value::value_t::string: return !value.get_ref<const std::string&>().empty();
    case Value::value_t::array:
    case Value::value_t::object: return !value.empty();
    default: return false;
  }
}

namespace {

std::string real(double value) {
  if (!std::isfinite(value)) return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
  // as Python's repr(): the shortest that reads back, with an exponent from 1e16 and below 1e-4
  constexpr double large = 1e16, small = 1e-4;
  const double size = std::fabs(value);
  const auto format = size != 0 && (size >= large || size < small) ? std::chars_format::scientific
                                                                   : std::chars_format::fixed;
  std::array<char, 40> digits{};
  const auto end = std::to_chars(digits.begin(), digits.end(), value, format).ptr;
  std::string text(digits.begin(), end);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

// As Python's repr() quotes a string.
std::string repr(const std::string& text) {
  const bool double_quotes =
      text.find('\'') != std::string::npos && text.find('"') == std::string::npos;
  const char quote = double_quotes ? '"' : '\'';
  std::string out(1, quote);
  for (const char c : text) {
    switch (c) {
      case '\n': out += "\\n"; break;
      case '\t': out += "\\t"; break;
      case '\r': out += "\\r"; break;
      case '\\': out += "\\\\"; break;
      default:
        if (c == quote) out += '\\';
        if (static_cast<unsigned char>(c) < ' ' || c == '\x7F') {
          constexpr std::string_view digits = "0123456789abcdef";
          out += "\\x";
          out += digits[static_cast<unsigned char>(c) / digits.size()];
          out += digits[static_cast<unsigned char>(c) % digits.size()];
        } else {
          out += c;
        }
    }
  }
  return out + quote;
}

}  // namespace

std::string shown(const Value& value, bool quoted) {
  switch (value.type()) {
    case Value::value_t::null: return "None";
    case Value::value_t::boolean: return value.get<bool>() ? "True" : "False";
    case Value::value_t::number_float: return real(value.get<double>());
    case Value::value_t::string:
      return quoted ? repr(value.get<std::string>()) : value.get<std::string>();
    case Value::value_t::array: {
      std::string text = "[";
      for (const Value& each : value) text += (text.size() > 1 ? ", " : "") + shown(each, true);
      return text + "]";
    }
    case Value::value_t::object: {
      std::string text = "{";
      for (const auto& [key, each] : value.items()) {
        text += (text.size() > 1 ? ", " : "") + repr(key) + ": " + shown(each, true);
      }
      return text + "}";
    }
    case Value::value_t::discarded: return quoted ? "Undefined" : "";
    default: return value.dump();
  }
}

std::string json_dumps(const Value& value, int indent, int depth) {
  if (!value.is_structured() || value.empty()) {
    if (value.is_number_float()) return real(value.get<double>());
    if (value.is_discarded()) throw std::string("tojson: of what is undefined");
    return value.dump(-1, ' ', false, Value::error_handler_t::replace);
  }
  const auto line = [&](int level) {
    return indent < 0 ? std::string()
                      : "\n" + std::string(static_cast<std::size_t>(indent * level), ' ');
  };
  const std::string between = indent < 0 ? ", " : ",";
  std::string text;
  for (const auto& [key, each] : value.items()) {
    text += text.empty() ? "" : between;
    text += line(depth + 1);
    if (value.is_object()) text += Value(key).dump() + ": ";
    text += json_dumps(each, indent, depth + 1);
    check_length(text.size());
  }
  const bool object = value.is_object();
  return (object ? "{" : "[") + text + line(depth) + (object ? "}" : "]");
}

}  // namespace attn::models::jinja
