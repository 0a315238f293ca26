#include "models/text/jinja/syntax.hpp"

#include <algorithm>
#include <cmath>

namespace attn::models::jinja {
namespace {

constexpr std::string_view blanks = " \t\r\n\f\v";

std::string stripped(const std::string& text, const Value& characters, bool left, bool right) {
  const std::string set =
      characters.is_string() ? characters.get<std::string>() : std::string(blanks);
  std::size_t begin = 0, end = text.size();
  while (left && begin < end && set.find(text[begin]) != std::string::npos) ++begin;
  while (right && end > begin && set.find(text[end - 1]) != std::string::npos) --end;
  return text.substr(begin, end - begin);
}

// Of ASCII: the covered templates change the case of roles only.
std::string cased(std::string text, bool upper) {
  for (char& c : text) {
    if (upper && c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (!upper && c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

std::string titled(const std::string& text, bool every_word) {
  std::string out = cased(text, false);
  bool begins = true;
  for (char& c : out) {
    const bool letter = c >= 'a' && c <= 'z';
    if (letter && begins) c = static_cast<char>(c - 'a' + 'A');
    begins = every_word && !letter && !(c >= 'A' && c <= 'Z');
  }
  return out;
}

std::string replaced(const std::string& text, const Value& from, const Value& by) {
  if (!from.is_string() || !by.is_string()) throw std::string("replace: needs two strings");
  const auto old = from.get<std::string>(), fresh = by.get<std::string>();
  if (old.empty()) throw std::string("replace: of nothing");
  std::string out;
  for (std::size_t at = 0;;) {
    const std::size_t found = text.find(old, at);
    out.append(text, at, found - at);
    if (found == std::string::npos) return out;
    out += fresh;
    at = found + old.size();
  }
}

Value split(const std::string& text, const Arguments& arguments) {
  const Value separator = arguments.get(0, "sep"), most = arguments.get(1, "maxsplit");
  long long left = most.is_number_integer() ? most.get<long long>() : -1;
  Value parts = Value::array();
  if (!separator.is_string()) {
    for (std::size_t at = text.find_first_not_of(blanks); at != std::string::npos;) {
      const std::size_t end = std::min(text.find_first_of(blanks, at), text.size());
      parts.push_back(text.substr(at, end - at));
      at = text.find_first_not_of(blanks, end);
    }
    return parts;
  }
  const auto sign = separator.get<std::string>();
  if (sign.empty()) throw std::string("split: by nothing");
  for (std::size_t at = 0;;) {
    const std::size_t found = left == 0 ? std::string::npos : text.find(sign, at);
    parts.push_back(text.substr(at, found - at));
    if (found == std::string::npos) return parts;
    at = found + sign.size();
    --left;
  }
}

long long length(const Value& value) {
  if (value.is_structured()) return static_cast<long long>(value.size());
  if (!value.is_string()) throw std::string("length: of what has none");
  long long characters = 0;
  for (const char c : value.get_ref<const std::string&>()) {
    if ((static_cast<unsigned char>(c) & 0xC0U) != 0x80U) ++characters;
  }
  return characters;
}

Value items(const Value& value) {
  if (!value.is_object()) throw std::string("items: of what is no dict");
  Value pairs = Value::array();
  for (const auto& [key, each] : value.items()) pairs.push_back(Value::array({key, each}));
  return pairs;
}

std::string joined(const Value& value, const Arguments& arguments) {
  const Value by = arguments.get(0, "d");
  std::string text;
  bool first = true;
  for (const Value& each : value) {
    if (!first) text += shown(by);
    text += shown(each);
    first = false;
  }
  return text;
}

std::string indented(const std::string& text, const Arguments& arguments) {
  const Value width = arguments.get(0, "width");
  constexpr long long usual = 4;
  const auto spaces = static_cast<std::size_t>(
      std::clamp<long long>(width.is_number_integer() ? width.get<long long>() : usual, 0, 1000));
  std::string out = truth(arguments.get(1, "first")) ? std::string(spaces, ' ') : "";
  for (std::size_t i = 0; i < text.size(); ++i) {
    out += text[i];
    if (text[i] == '\n' && i + 1 < text.size() && text[i + 1] != '\n') out.append(spaces, ' ');
  }
  return out;
}

// select, reject: by a test of the value; selectattr, rejectattr: of one of its members.
Value selected(const std::string& filter, const Value& value, const Arguments& arguments) {
  const bool of_member = filter.ends_with("attr"), keep = filter.starts_with("select");
  Arguments rest = arguments;
  std::string member, test;
  const auto next = [&] {
    if (rest.plain.empty() || !rest.plain.front().is_string()) return std::string();
    const auto text = rest.plain.front().get<std::string>();
    rest.plain.erase(rest.plain.begin());
    return text;
  };
  if (of_member) member = next();
  test = next();
  Value kept = Value::array();
  for (const Value& each : value) {
    Value looked = each;
    if (of_member) looked = each.is_object() && each.contains(member) ? each[member] : undefined();
    const bool holds = test.empty() ? truth(looked) : apply_test(test, looked, rest);
    if (holds == keep) kept.push_back(each);
  }
  return kept;
}

Value mapped(const Value& value, const Arguments& arguments) {
  const Value attribute = arguments.get(arguments.plain.size(), "attribute");
  Value out = Value::array();
  for (const Value& each : value) {
    if (attribute.is_string()) {
      const auto key = attribute.get<std::string>();
      out.push_back(each.is_object() && each.contains(key) ? each[key] : undefined());
    } else {
      Arguments rest = arguments;
      if (rest.plain.empty()) throw std::string("map: by nothing");
      const std::string filter = shown(rest.plain.front());
      rest.plain.erase(rest.plain.begin());
      out.push_back(apply_filter(filter, each, rest));
    }
  }
  return out;
}

Value to_number(const Value& value, bool whole) {
  double number = 0;
  if (value.is_number() || value.is_boolean()) {
    number = value.is_boolean() ? static_cast<double>(value.get<bool>()) : value.get<double>();
  } else if (value.is_string()) {
    try {
      number = std::stod(value.get<std::string>());
    } catch (const std::exception&) {
      number = 0;
    }
  }
  constexpr double largest = 9e18;
  if (whole && std::fabs(number) < largest) return Value(static_cast<long long>(number));
  return Value(number);
}

Value reversed(const Value& value) {
  if (value.is_string()) {
    auto text = value.get<std::string>();
    std::reverse(text.begin(), text.end());
    return Value(text);
  }
  Value out = Value::array();
  for (std::size_t i = value.size(); i-- > 0;) out.push_back(value[i]);
  return out;
}

}  // namespace

Value apply_filter(const std::string& filter, const Value& value, const Arguments& arguments) {
  if (filter == "default" || filter == "d") {
    const bool missing =
        value.is_discarded() || (truth(arguments.get(1, "boolean")) && !truth(value));
    return missing ? arguments.get(0, "default_value") : value;
  }
  if (filter == "tojson") {
    const Value indent = arguments.get(0, "indent");
    return Value(json_dumps(value, indent.is_number_integer() ? indent.get<int>() : -1));
  }
  if (filter == "length" || filter == "count") return Value(length(value));
  if (filter == "string") return Value(shown(value));
  if (filter == "safe") return value;
  if (filter == "int" || filter == "float") return to_number(value, filter == "int");
  if (filter == "list") {
    if (value.is_array()) return value;
    Value out = Value::array();
    if (value.is_object()) {
      for (const auto& [key, each] : value.items()) out.push_back(key);
    }
    return out;
  }
  if (filter == "items" || filter == "dictsort") return items(value);
  if (filter == "join") return Value(joined(value, arguments));
  if (filter == "first" || filter == "last") {
    if (value.is_string()) {
      const auto& text = value.get_ref<const std::string&>();
      if (text.empty()) return undefined();
      return Value(std::string(1, filter == "first" ? text.front() : text.back()));
    }
    if (!value.is_array() || value.empty()) return undefined();
    return filter == "first" ? value.front() : value.back();
  }
  if (filter == "map") return mapped(value, arguments);
  if (filter == "select" || filter == "reject" || filter == "selectattr" ||
      filter == "rejectattr") {
    return selected(filter, value, arguments);
  }
  if (filter == "reverse") return reversed(value);
  if (filter == "abs" && value.is_number()) {
    if (value.is_number_float()) return Value(std::fabs(value.get<double>()));
    return Value(std::abs(value.get<long long>()));
  }
  const std::string text = shown(value);
  if (filter == "trim") return Value(stripped(text, arguments.get(0, "chars"), true, true));
  if (filter == "upper") return Value(cased(text, true));
  if (filter == "lower") return Value(cased(text, false));
  if (filter == "title") return Value(titled(text, true));
  if (filter == "capitalize") return Value(titled(text, false));
  if (filter == "replace")
    return Value(replaced(text, arguments.get(0, "old"), arguments.get(1, "new")));
  if (filter == "indent") return Value(indented(text, arguments));
  throw std::string("unknown filter '" + filter + "'");
}

bool apply_test(const std::string& test, const Value& value, const Arguments& arguments) {
  const Value other = arguments.get(0, "other");
  if (test == "defined") return !value.is_discarded();
  if (test == "undefined") return value.is_discarded();
  if (test == "none") return value.is_null();
  if (test == "string") return value.is_string();
  if (test == "mapping") return value.is_object();
  if (test == "sequence" || test == "iterable") return value.is_structured() || value.is_string();
  if (test == "number") return value.is_number();
  if (test == "integer") return value.is_number_integer();
  if (test == "float") return value.is_number_float();
  if (test == "boolean") return value.is_boolean();
  if (test == "true") return value.is_boolean() && value.get<bool>();
  if (test == "false") return value.is_boolean() && !value.get<bool>();
  if (test == "equalto" || test == "eq") return value == other;
  if (test == "ne") return value != other;
  if (test == "in") return std::find(other.begin(), other.end(), value) != other.end();
  if (test == "odd" || test == "even") {
    if (!value.is_number_integer()) throw std::string(test + ": of no whole number");
    return (value.get<long long>() % 2 != 0) == (test == "odd");
  }
  throw std::string("unknown test '" + test + "'");
}

Value call_method(const Value& object, const std::string& method, const Arguments& arguments) {
  const Value first = arguments.get(0, "");
  if (object.is_string()) {
    const auto& text = object.get_ref<const std::string&>();
    if (method == "strip") return Value(stripped(text, first, true, true));
    if (method == "lstrip") return Value(stripped(text, first, true, false));
    if (method == "rstrip") return Value(stripped(text, first, false, true));
    if (method == "upper") return Value(cased(text, true));
    if (method == "lower") return Value(cased(text, false));
    if (method == "title") return Value(titled(text, true));
    if (method == "capitalize") return Value(titled(text, false));
    if (method == "split") return split(text, arguments);
    if (method == "replace") return Value(replaced(text, first, arguments.get(1, "")));
    if (method == "join") return Value(joined(first, {{object}, {}}));
    if (method == "startswith" || method == "endswith") {
      if (!first.is_string()) throw std::string(method + ": needs a string");
      const auto& part = first.get_ref<const std::string&>();
      return Value(method == "startswith" ? text.starts_with(part) : text.ends_with(part));
    }
    if (method == "find") {
      if (!first.is_string()) throw std::string("find: needs a string");
      const std::size_t at = text.find(first.get_ref<const std::string&>());
      return Value(at == std::string::npos ? -1LL : static_cast<long long>(at));
    }
  }
  if (object.is_object()) {
    if (method == "items") return items(object);
    if (method == "get") {
      if (first.is_string() && object.contains(first.get<std::string>())) {
        return object[first.get<std::string>()];
      }
      return arguments.plain.size() > 1 ? arguments.plain[1] : Value(nullptr);
    }
    if (method == "keys" || method == "values") {
      Value out = Value::array();
      for (const auto& [key, each] : object.items())
        out.push_back(method == "keys" ? Value(key) : each);
      return out;
    }
  }
  throw std::string("unknown method '" + method + "'");
}

}  // namespace attn::models::jinja
