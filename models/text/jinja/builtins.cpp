#include "models/text/jinja/syntax.hpp"
#include "models/text/unicode.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace attn::models::jinja {
namespace {

// What Python's strip() and split() take for blank.
bool blank(std::uint32_t code) { return is_space(code) || (code >= 0x1C && code <= 0x1F); }

std::string stripped(const std::string& text, const Value& given, bool left, bool right) {
  std::vector<std::string> set;
  if (given.is_string()) set = characters(given.get_ref<const std::string&>());
  const auto goes = [&](std::string_view c) {
    if (!given.is_string()) return blank(character_at(c, 0).code);
    return std::find(set.begin(), set.end(), c) != set.end();
  };
  std::size_t begin = 0, end = text.size();
  while (left && begin < end) {
    const std::size_t length = character_at(text, begin).length;
    if (!goes(std::string_view(text).substr(begin, length))) break;
    begin += length;
  }
  while (right && end > begin) {
    const std::string_view rest = std::string_view(text).substr(begin, end - begin);
    const std::size_t length = last_character(rest).length;
    if (!goes(rest.substr(rest.size() - length))) break;
    end -= length;
  }
  return text.substr(begin, end - begin);
}

// Of ASCII: the covered templates change the case of roles only.
std::string cased(std::string text, bool upper) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) >= 0x80U) {
      throw std::string("unknown: another case of a letter beyond ASCII");
    }
    if (upper && c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (!upper && c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

// Every word with a capital, or the first. A word begins after what is no letter (str.title) or
// after one of `starts` (the filter).
std::string titled(const std::string& text, bool every_word, std::string_view starts = "") {
  std::string out = cased(text, false);
  bool begins = true;
  for (char& c : out) {
    const bool letter = c >= 'a' && c <= 'z';
    const bool starter = starts.empty() ? !letter : starts.find(c) != std::string_view::npos;
    if (letter && begins) c = static_cast<char>(c - 'a' + 'A');
    begins = every_word && starter;
  }
  return out;
}

std::string replaced(const std::string& text, const Value& from, const Value& by,
                     const Value& count) {
  if (!from.is_string() || !by.is_string()) throw std::string("replace: needs two strings");
  const auto old = from.get<std::string>(), fresh = by.get<std::string>();
  if (old.empty()) throw std::string("replace: of nothing");
  std::string out;
  long long left = count.is_number_integer() ? count.get<long long>() : -1;
  for (std::size_t at = 0;;) {
    const std::size_t found = left-- == 0 ? std::string::npos : find_text(text, old, at);
    check_length(out.size());
    out.append(text, at, found - at);
    if (found == std::string::npos) return out;
    out += fresh;
    at = found + old.size();
  }
}

// A part is many times as large as the text that it may be.
void check_parts(std::size_t count) {
  constexpr std::size_t most = std::size_t{1} << 20U;
  if (count > most) throw std::string("a text of too many parts");
}

Value split(const std::string& text, const Arguments& arguments) {
  const Value separator = arguments.get(0, "sep"), most = arguments.get(1, "maxsplit");
  long long left = most.is_number_integer() ? most.get<long long>() : -1;
  Value parts = Value::array();
  if (!separator.is_string()) {
    const auto is_blank = [&](std::size_t at) { return blank(character_at(text, at).code); };
    const auto next = [&](std::size_t at, bool wanted) {
      while (at < text.size() && is_blank(at) != wanted) at += character_at(text, at).length;
      return at;
    };
    for (std::size_t at = next(0, false); at < text.size();) {
      std::size_t end = next(at, true);
      if (left-- == 0) end = text.size();
      parts.push_back(text.substr(at, end - at));
      check_parts(parts.size());
      at = next(end, false);
    }
    return parts;
  }
  const auto sign = separator.get<std::string>();
  if (sign.empty()) throw std::string("split: by nothing");
  for (std::size_t at = 0;;) {
    const std::size_t found = left == 0 ? std::string::npos : find_text(text, sign, at);
    parts.push_back(text.substr(at, found - at));
    check_parts(parts.size());
    if (found == std::string::npos) return parts;
    at = found + sign.size();
    --left;
  }
}

long long length(const Value& value) {
  if (value.is_structured()) return static_cast<long long>(value.size());
  if (value.is_discarded()) return 0;
  if (!value.is_string()) throw std::string("length: of what has none");
  const auto& text = value.get_ref<const std::string&>();
  long long count = 0;
  for (std::size_t at = 0; at < text.size(); at += character_at(text, at).length) ++count;
  return count;
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
  const Value all = elements(value);
  for (const Value& each : all) {
    if (!first) text += shown(by);
    text += shown(each);
    check_length(text.size());
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
    check_length(out.size());
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
  if (of_member) {
    member = next();
    if (member.empty() || member.find('.') != std::string::npos) {
      throw filter + ": unknown: this attribute";
    }
  }
  if (!rest.plain.empty() && !rest.plain.front().is_string()) throw filter + ": by no test";
  test = next();
  Value kept = Value::array();
  const Value all = elements(value);
  for (const Value& each : all) {
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
  if (attribute.is_string()) arguments.check("map", {"attribute", "default"});
  const Value all = elements(value);
  for (const Value& each : all) {
    if (attribute.is_string()) {
      const auto key = attribute.get<std::string>();
      if (key.find('.') != std::string::npos) throw std::string("map: unknown: this attribute");
      const bool found = each.is_object() && each.contains(key);
      out.push_back(found ? each[key] : arguments.get(1, "default"));
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

// int(value) and float(value); a text that is no number gives the second argument or 0.
Value to_number(const Value& value, bool whole, const Value& otherwise) {
  double number = 0;
  if (value.is_number_integer() && whole) return value;
  if (value.is_boolean()) number = value.get<bool>() ? 1 : 0;
  if (value.is_number()) number = value.get<double>();
  if (value.is_string()) {
    const std::string text = stripped(value.get<std::string>(), undefined(), true, true);
    const char* begin = text.data();
    const char* const end = begin + text.size();
    if (text.starts_with('+') && !text.starts_with("+-")) ++begin;
    long long exact = 0;
    const auto read = std::from_chars(begin, end, exact);
    if (whole && read.ec == std::errc() && read.ptr == end) return Value(exact);
    const auto real = std::from_chars(begin, end, number);
    if (real.ec != std::errc() || real.ptr != end) {
      if (!otherwise.is_discarded()) return otherwise;
      number = 0;
    }
  } else if (!value.is_number() && !value.is_boolean()) {
    if (value.is_discarded()) throw std::string("a number of what is undefined");
    if (!otherwise.is_discarded()) return otherwise;
  }
  if (!whole) return Value(number);
  constexpr double largest = 9e18;
  if (!(std::fabs(number) < largest)) throw std::string("int: a number beyond 64 bits");
  return Value(static_cast<long long>(number));
}

Value reversed(const Value& value) {
  const Value all = elements(value);
  Value out = Value::array();
  for (std::size_t i = all.size(); i-- > 0;) out.push_back(all[i]);
  if (!value.is_string()) return out;
  std::string text;
  for (const Value& each : out) text += each.get_ref<const std::string&>();
  return Value(std::move(text));
}

// By key, without regard to case.
Value sorted(const Value& value) {
  Value pairs = items(value);
  std::stable_sort(pairs.begin(), pairs.end(), [](const Value& a, const Value& b) {
    return cased(a[0].get<std::string>(), false) < cased(b[0].get<std::string>(), false);
  });
  return pairs;
}

std::string json_of(const Value& value, const Arguments& arguments) {
  const Value indent = arguments.get(0, "indent");
  if (indent.is_discarded() || indent.is_null()) return json_dumps(value, -1);
  constexpr long long most = 16;
  if (!indent.is_number_integer() || indent.get<long long>() < 0 ||
      indent.get<long long>() > most) {
    throw std::string("tojson: an indent that is not in 0..16");
  }
  return json_dumps(value, indent.get<int>());
}

// What takes no argument, or these, by position or by name.
void check_filter(const std::string& filter, const Arguments& arguments) {
  if (filter == "default" || filter == "d") {
    arguments.check(filter, {"default_value", "boolean"});
  } else if (filter == "tojson") {
    arguments.check(filter, {"indent"});
  } else if (filter == "int" || filter == "float") {
    arguments.check(filter, {"default"});
  } else if (filter == "join") {
    arguments.check(filter, {"d"});
  } else if (filter == "trim") {
    arguments.check(filter, {"chars"});
  } else if (filter == "replace") {
    arguments.check(filter, {"old", "new", "count"});
  } else if (filter == "indent") {
    arguments.check(filter, {"width", "first"});
  } else if (filter != "map" && !filter.starts_with("select") && !filter.starts_with("reject")) {
    arguments.check(filter, {});
  }
}

}  // namespace

Value apply_filter(const std::string& filter, const Value& value, const Arguments& arguments) {
  check_filter(filter, arguments);
  if (filter == "default" || filter == "d") {
    const bool missing =
        value.is_discarded() || (truth(arguments.get(1, "boolean")) && !truth(value));
    return missing ? arguments.get(0, "default_value") : value;
  }
  if (filter == "tojson") return Value(json_of(value, arguments));
  if (filter == "length" || filter == "count") return Value(length(value));
  if (filter == "string") return Value(shown(value));
  if (filter == "safe") return value;
  if (filter == "int" || filter == "float") {
    return to_number(value, filter == "int", arguments.get(0, "default"));
  }
  if (filter == "list") return elements(value);
  if (filter == "items") return value.is_discarded() ? Value::array() : items(value);
  if (filter == "dictsort") return sorted(value);
  if (filter == "join") return Value(joined(value, arguments));
  if (filter == "first" || filter == "last") {
    if (value.is_string()) {
      return character_of(value.get_ref<const std::string&>(), filter == "first" ? 0 : -1);
    }
    const Value all = elements(value);
    if (all.empty()) return undefined();
    return filter == "first" ? all.front() : all.back();
  }
  if (filter == "map") return mapped(value, arguments);
  if (filter == "select" || filter == "reject" || filter == "selectattr" ||
      filter == "rejectattr") {
    return selected(filter, value, arguments);
  }
  if (filter == "reverse") return reversed(value);
  if (filter == "abs" && value.is_number()) {
    if (value.is_number_float()) return Value(std::fabs(value.get<double>()));
    return truth(operate("<", value, Value(0))) ? operate("-", Value(0), value) : value;
  }
  const std::string text = shown(value);
  if (filter == "trim") return Value(stripped(text, arguments.get(0, "chars"), true, true));
  if (filter == "upper") return Value(cased(text, true));
  if (filter == "lower") return Value(cased(text, false));
  if (filter == "title") return Value(titled(text, true, "- \t\r\n\f\v({[<"));
  if (filter == "capitalize") return Value(titled(text, false));
  if (filter == "replace")
    return Value(replaced(text, arguments.get(0, "old"), arguments.get(1, "new"),
                          arguments.get(2, "count")));
  if (filter == "indent" && value.is_string()) return Value(indented(text, arguments));
  throw std::string("unknown filter '" + filter + "'");
}

bool apply_test(const std::string& test, const Value& value, const Arguments& arguments) {
  const bool two = test == "equalto" || test == "eq" || test == "==" || test == "ne" ||
                   test == "!=" || test == "in" || test == "divisibleby";
  if (arguments.plain.size() != (two ? 1 : 0) || !arguments.named.empty()) {
    throw "test '" + test + "': other arguments than it takes";
  }
  const Value other = arguments.get(0, "other");
  if (test == "defined") return !value.is_discarded();
  if (test == "undefined") return value.is_discarded();
  if (test == "none") return value.is_null();
  if (test == "string") return value.is_string();
  if (test == "mapping") return value.is_object();
  if (test == "sequence" || test == "iterable") {
    return value.is_structured() || value.is_string() || value.is_discarded();
  }
  if (test == "number") return value.is_number() || value.is_boolean();
  if (test == "integer") return value.is_number_integer();
  if (test == "float") return value.is_number_float();
  if (test == "boolean") return value.is_boolean();
  if (test == "true") return value.is_boolean() && value.get<bool>();
  if (test == "false") return value.is_boolean() && !value.get<bool>();
  if (test == "equalto" || test == "eq" || test == "==") return equal(value, other);
  if (test == "ne" || test == "!=") return !equal(value, other);
  if (test == "in") return contains(other, value);
  if (test == "divisibleby") return !truth(operate("%", value, other));
  if (test == "odd" || test == "even") {
    if (!value.is_number_integer()) throw std::string(test + ": of no whole number");
    return (value.get<long long>() % 2 != 0) == (test == "odd");
  }
  throw std::string("unknown test '" + test + "'");
}

namespace {

void check_method(const std::string& method, const Arguments& arguments) {
  if (method == "split") {
    arguments.check(method, {"sep", "maxsplit"});
  } else if (!arguments.named.empty()) {
    throw "method '" + method + "': unknown: named arguments";
  }
  const auto none = {"upper", "lower", "title", "capitalize", "items", "keys", "values"};
  const auto two = {"split", "get"};
  const auto any = [&](const auto& names) {
    return std::any_of(names.begin(), names.end(), [&](const char* n) { return method == n; });
  };
  const std::size_t most = any(none) ? 0 : method == "replace" ? 3 : any(two) ? 2 : 1;
  if (arguments.plain.size() > most) throw "method '" + method + "': too many arguments";
}

}  // namespace

Value call_method(const Value& object, const std::string& method, const Arguments& arguments) {
  const Value first = arguments.get(0, "");
  if (object.is_string()) {
    const auto& text = object.get_ref<const std::string&>();
    check_method(method, arguments);
    if (method == "strip") return Value(stripped(text, first, true, true));
    if (method == "lstrip") return Value(stripped(text, first, true, false));
    if (method == "rstrip") return Value(stripped(text, first, false, true));
    if (method == "upper") return Value(cased(text, true));
    if (method == "lower") return Value(cased(text, false));
    if (method == "title") return Value(titled(text, true));
    if (method == "capitalize") return Value(titled(text, false));
    if (method == "split") return split(text, arguments);
    if (method == "replace") {
      return Value(replaced(text, first, arguments.get(1, ""), arguments.get(2, "")));
    }
    if (method == "join") {
      const Value all = elements(first);
      if (!std::all_of(all.begin(), all.end(), [](const Value& v) { return v.is_string(); })) {
        throw std::string("join: of what is no string");
      }
      return Value(joined(all, {{object}, {}}));
    }
    if (method == "startswith" || method == "endswith") {
      if (!first.is_string()) throw std::string(method + ": needs a string");
      const auto& part = first.get_ref<const std::string&>();
      return Value(method == "startswith" ? text.starts_with(part) : text.ends_with(part));
    }
    if (method == "find") {
      if (!first.is_string()) throw std::string("find: needs a string");
      const std::size_t at = find_text(text, first.get_ref<const std::string&>());
      return Value(at == std::string::npos ? -1LL : length(Value(text.substr(0, at))));
    }
  }
  if (object.is_object()) {
    check_method(method, arguments);
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
