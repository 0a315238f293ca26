#include "models/text/jinja/syntax.hpp"
#include "models/text/unicode.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace attn::models::jinja {
namespace {

bool is_countable(const Value& value) { return value.is_number() || value.is_boolean(); }

// To Python true is 1.
Value number(const Value& value) {
  return value.is_boolean() ? Value(value.get<bool>() ? 1 : 0) : value;
}

bool compare(const std::string& sign, const Value& first, const Value& second) {
  const Value a = number(first), b = number(second);
  if (!(a.is_number() && b.is_number()) && !(a.is_string() && b.is_string())) {
    throw "'" + sign + "' between values of different types";
  }
  if (sign == "<") return a < b;
  if (sign == ">") return b < a;
  return sign == "<=" ? !(b < a) : !(a < b);
}

double real(const std::string& sign, double x, double y) {
  if (y == 0 && (sign == "/" || sign == "//" || sign == "%")) throw std::string("a division by 0");
  if (sign == "+") return x + y;
  if (sign == "-") return x - y;
  if (sign == "*") return x * y;
  if (sign == "/") return x / y;
  if (sign == "//" || sign == "%") {  // as Python divides
    double rest = std::fmod(x, y);
    if (rest != 0 && (rest < 0) != (y < 0)) rest += y;
    return sign == "%" ? rest : std::round((x - rest) / y);
  }
  if (x < 0 && y != std::floor(y)) throw std::string("a power that is no real number");
  return std::pow(x, y);
}

bool power_overflows(long long x, long long y, long long& result) {
  result = 1;
  if (x == 0 || x == 1) {
    result = y == 0 ? 1 : x;
    return false;
  }
  if (x == -1) {
    result = y % 2 == 0 ? 1 : -1;
    return false;
  }
  for (long long i = 0; i < y; ++i) {  // at most 63 times: |x| is 2 or more
    if (__builtin_mul_overflow(result, x, &result)) return true;
  }
  return false;
}

long long whole(const std::string& sign, long long x, long long y) {
  long long result = 0;
  bool overflow = false;
  if (sign == "+") overflow = __builtin_add_overflow(x, y, &result);
  if (sign == "-") overflow = __builtin_sub_overflow(x, y, &result);
  if (sign == "*") overflow = __builtin_mul_overflow(x, y, &result);
  if (sign == "**") overflow = power_overflows(x, y, result);
  if (sign == "//" || sign == "%") {
    if (y == 0) throw std::string("a division by 0");
    overflow = y == -1 && x == std::numeric_limits<long long>::min();
    if (!overflow) {  // towards minus infinity, as Python divides
      const long long rest = x % y;
      const bool below = rest != 0 && (rest < 0) != (y < 0);
      result = sign == "%" ? rest + (below ? y : 0) : x / y - (below ? 1 : 0);
    }
  }
  if (overflow) throw std::string("a number beyond 64 bits");
  return result;
}

std::string repeated(const std::string& text, long long times) {
  std::string out;
  if (times <= 0 || text.empty()) return out;
  if (static_cast<unsigned long long>(times) > most_text / text.size()) {
    throw std::string("its text is too long");
  }
  for (long long i = 0; i < times; ++i) out += text;
  return out;
}

}  // namespace

void check_length(std::size_t bytes) {
  if (bytes > most_text) throw std::string("its text is too long");
}

std::size_t find_text(std::string_view text, std::string_view part, std::size_t at) noexcept {
  if (part.empty()) return at;
  if (at >= text.size()) return std::string_view::npos;
  const void* const found = ::memmem(text.data() + at, text.size() - at, part.data(), part.size());
  if (found == nullptr) return std::string_view::npos;
  return static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

Value character_of(const std::string& text, long long number) {
  std::size_t at = 0;
  if (number < 0) {
    std::string_view rest = text;
    for (; number < -1 && !rest.empty(); ++number) rest.remove_suffix(last_character(rest).length);
    if (rest.empty()) return undefined();
    at = rest.size() - last_character(rest).length;
  } else {
    for (; number > 0 && at < text.size(); --number) at += character_at(text, at).length;
    if (at >= text.size()) return undefined();
  }
  return Value(text.substr(at, character_at(text, at).length));
}

std::vector<std::string> characters(const std::string& text) {
  constexpr std::size_t most = std::size_t{1} << 20U;
  if (text.size() > most) throw std::string("a text too long to take apart");
  std::vector<std::string> all;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = character_at(text, at).length;
    all.push_back(text.substr(at, length));
    at += length;
  }
  return all;
}

Value elements(const Value& value) {
  if (value.is_array()) return value;
  Value out = Value::array();
  if (value.is_object()) {
    for (const auto& [key, each] : value.items()) out.push_back(key);
  } else if (value.is_string()) {
    for (std::string& each : characters(value.get_ref<const std::string&>())) {
      out.push_back(std::move(each));
    }
  } else if (!value.is_discarded()) {
    throw std::string("a loop over what has no elements");
  }
  return out;
}

bool equal(const Value& a, const Value& b) {
  if (a.is_discarded() || b.is_discarded()) return a.is_discarded() && b.is_discarded();
  if (is_countable(a) && is_countable(b)) return number(a) == number(b);
  if (a.is_array() && b.is_array()) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), equal);
  }
  if (a.is_object() && b.is_object()) {  // in any order
    if (a.size() != b.size()) return false;
    for (const auto& [key, each] : a.items()) {
      const auto other = b.find(key);
      if (other == b.end() || !equal(each, *other)) return false;
    }
    return true;
  }
  return a == b;
}

bool contains(const Value& where, const Value& what) {
  if (where.is_discarded()) return false;
  if (where.is_array()) {
    return std::any_of(where.begin(), where.end(),
                       [&](const Value& each) { return equal(each, what); });
  }
  if (where.is_object()) return what.is_string() && where.contains(what.get<std::string>());
  if (where.is_string() && what.is_string()) {
    return find_text(where.get_ref<const std::string&>(), what.get_ref<const std::string&>()) !=
           std::string::npos;
  }
  throw std::string("'in' what has no elements");
}

Value operate(const std::string& sign, const Value& a, const Value& b) {
  if (sign == "==") return Value(equal(a, b));
  if (sign == "!=") return Value(!equal(a, b));
  if (sign == "in") return Value(contains(b, a));
  if (sign == "not in") return Value(!contains(b, a));
  if (sign == "<" || sign == ">" || sign == "<=" || sign == ">=") return Value(compare(sign, a, b));
  if (sign == "~" || (sign == "+" && a.is_string() && b.is_string())) {
    std::string text = shown(a);
    text += shown(b);
    check_length(text.size());
    return Value(std::move(text));
  }
  if (sign == "+" && a.is_array() && b.is_array()) {
    Value both = a;
    for (const Value& each : b) both.push_back(each);
    return both;
  }
  if (sign == "*" && a.is_string() && b.is_number_integer()) {
    return Value(repeated(a.get_ref<const std::string&>(), b.get<long long>()));
  }
  if (!a.is_number() || !b.is_number()) {
    if (is_countable(a) && is_countable(b)) return operate(sign, number(a), number(b));
    throw "'" + sign + "' between what it does not join";
  }
  if (a.is_number_float() || b.is_number_float() || sign == "/" ||
      (sign == "**" && b.get<long long>() < 0)) {
    return Value(real(sign, a.get<double>(), b.get<double>()));
  }
  return Value(whole(sign, a.get<long long>(), b.get<long long>()));
}

Value sliced(const Value& object, const std::optional<long long>& first,
             const std::optional<long long>& last, long long step) {
  if (step == 0) throw std::string("a slice by steps of 0");
  if (!object.is_array() && !object.is_string()) throw std::string("a slice of what has no order");
  // where the characters of a text begin, and its end
  std::vector<std::uint32_t> places;
  const std::string text = object.is_string() ? object.get<std::string>() : "";
  check_length(text.size());
  for (std::size_t at = 0; at < text.size(); at += character_at(text, at).length) {
    places.push_back(static_cast<std::uint32_t>(at));
  }
  const auto size = static_cast<long long>(object.is_string() ? places.size() : object.size());
  places.push_back(static_cast<std::uint32_t>(text.size()));
  step = std::clamp(step, -size - 1, size + 1);  // a longer one takes the first element as well
  const auto place = [&](long long at, long long low, long long high) {
    return std::clamp(at < 0 ? at + size : at, low, high);
  };
  Value out = Value::array();
  std::string characters_out;
  const auto take = [&](long long i) {
    const auto at = static_cast<std::size_t>(i);
    if (object.is_string()) {
      characters_out.append(text, places[at], places[at + 1] - places[at]);
    } else {
      out.push_back(object[at]);
    }
  };
  if (step > 0) {
    const long long end = last ? place(*last, 0, size) : size;
    for (long long i = first ? place(*first, 0, size) : 0; i < end; i += step) take(i);
  } else {
    const long long end = last ? place(*last, -1, size - 1) : -1;
    for (long long i = first ? place(*first, -1, size - 1) : size - 1; i > end; i += step) take(i);
  }
  return object.is_string() ? Value(std::move(characters_out)) : out;
}

}  // namespace attn::models::jinja
