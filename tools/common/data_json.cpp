#include "attn/error.hpp"
#include "tools/common/data.hpp"
#include "tools/common/json.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cfloat>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

namespace attn::tools {
namespace {

constexpr std::size_t most_depth = 8;      // no input of a model has as many dimensions
constexpr std::size_t longest_shown = 40;  // bytes of a foreign string in a message

std::string shown(std::string_view text) {
  if (text.size() <= longest_shown) return json_string(text);
  return json_string(std::string(text.substr(0, longest_shown)) + "…");
}

std::string names(std::span<const PortInfo> ports) {
  std::string text;
  for (const PortInfo& port : ports) text += (text.empty() ? "" : ", ") + port.name;
  return text;
}

/// Takes the numbers out of the parser's events as they come, without a document in between.
class Reader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  Reader(std::string_view text, const std::string& source, std::span<const PortInfo> ports)
      : text_(text), source_(source), ports_(ports) {}

  std::vector<Data> finish() {
    for (const PortInfo& port : ports_) {
      if (!given(port.name)) refuse("input '" + port.name + "' is missing");
    }
    return std::move(all_);
  }

  bool null() override { no_number("null"); }
  bool boolean(bool value) override { no_number(value ? "true" : "false"); }
  bool string(string_t& value) override { no_number("the string " + shown(value)); }
  bool binary(binary_t& /*value*/) override { no_number("binary data"); }

  bool number_integer(number_integer_t value) override { return whole(value); }
  bool number_unsigned(number_unsigned_t value) override { return whole(value); }
  bool number_float(number_float_t value, const string_t& text) override {
    begin_element();
    if (std::get_if<std::vector<std::int32_t>>(&data().values) != nullptr) {
      refuse(here() + " is " + shown_number(text) + ", not a token id (a whole number)");
    }
    float exact = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), exact);
    // from_chars gives up on numbers too small as well as on those too large: the first become 0 or
    // the like, as they do everywhere
    if (error != std::errc{}) exact = static_cast<float>(value);
    if (!std::isfinite(exact)) too_large(text);
    return element(exact);
  }

  bool start_object(std::size_t /*elements*/) override {
    if (begun_) no_number("an object");
    begun_ = true;
    return true;
  }
  bool key(string_t& name) override {
    const auto port = std::find_if(ports_.begin(), ports_.end(),
                                   [&](const PortInfo& p) { return p.name == name; });
    if (port == ports_.end()) {
      refuse("unknown input " + shown(name) + "; the model takes " + names(ports_));
    }
    if (given(name)) refuse("input '" + name + "' is given twice");
    begin_input(*port);
    return true;
  }
  bool end_object() override { return true; }

  bool start_array(std::size_t /*elements*/) override {
    if (!begun_) {
      begun_ = true;
      if (ports_.size() != 1) {
        refuse("a bare list, but the model has several inputs: {input name: nested lists} with " +
               names(ports_));
      }
      begin_input(ports_[0]);
    }
    if (leaf_depth_ && counts_.size() >= *leaf_depth_) {
      refuse(here() + " is a list, where numbers stand before it: lists must not be ragged");
    }
    if (counts_.size() == most_depth) {
      refuse(here() + ": lists are nested deeper than the limit of " + std::to_string(most_depth));
    }
    counts_.push_back(0);
    return true;
  }
  bool end_array() override {
    const std::int64_t count = counts_.back();
    const std::size_t depth = counts_.size() - 1;
    counts_.pop_back();
    if (count == 0) refuse(here() + " is an empty list");
    Dims& shape = data().shape;
    if (shape.size() <= depth) shape.resize(depth + 1, -1);
    if (shape[depth] == -1) shape[depth] = count;
    if (shape[depth] != count) {
      refuse(here() + " has length " + std::to_string(count) + ", the lists before it " +
             std::to_string(shape[depth]) + ": lists must not be ragged");
    }
    if (!counts_.empty()) ++counts_.back();
    return true;
  }

  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const nlohmann::detail::exception& error) override {
    const std::size_t at = std::min(position == 0 ? 0 : position - 1, text_.size());
    const std::string_view before = text_.substr(0, at);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const std::size_t line_begin = before.rfind('\n') + 1;  // npos + 1 = 0: the first line
    std::string place =
        "line " + std::to_string(line) + ", column " + std::to_string(at - line_begin + 1) + ": ";
    if (error.id == 406) refuse(place + "the number does not fit float32");
    if (at == text_.size()) refuse(place + "not JSON: ends too early");
    for (const std::string_view word : {"NaN", "nan", "Infinity", "inf"}) {
      if (text_.substr(at).starts_with(word)) {
        refuse(place + std::string(word) + " is no JSON number, and no input either");
      }
    }
    refuse(place + "not JSON: unexpected " + unexpected(at));
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(ErrorKind::invalid, source_ + ": " + what);
  }
  [[noreturn]] void no_number(const std::string& what) const {
    if (!begun_) refuse(what + ", where nested lists of numbers are needed");
    refuse(here() + " is " + what + ", not a number");
  }
  [[noreturn]] void too_large(const std::string& text) const {
    refuse(here() + " is " + shown_number(text) + ", beyond the float32 limit 3.4028235e38");
  }
  static std::string shown_number(const std::string& text) {
    return text.size() <= longest_shown ? text : text.substr(0, longest_shown) + "…";
  }
  std::string unexpected(std::size_t at) const {
    const auto byte = static_cast<unsigned char>(text_[at]);
    if (byte > 0x20 && byte < 0x7f) return "'" + std::string(1, text_[at]) + "'";
    return "byte " + std::to_string(byte);
  }

  Data& data() { return all_.back(); }
  [[nodiscard]] bool given(std::string_view name) const {
    return std::any_of(all_.begin(), all_.end(), [&](const Data& d) { return d.name == name; });
  }
  [[nodiscard]] std::string here() const {
    return all_.empty() ? "the input" : element_name(all_.back().name, counts_);
  }

  void begin_input(const PortInfo& port) {
    all_.push_back({port.name, {}, std::vector<float>{}});
    if (port.token_ids) data().values = std::vector<std::int32_t>{};
    leaf_depth_.reset();
  }
  void begin_element() {
    if (counts_.empty()) {
      refuse((begun_ ? here() + " is a single number" : std::string("a number alone")) +
             ", where nested lists of numbers are needed");
    }
    if (!leaf_depth_) {
      if (data().shape.size() > counts_.size()) ragged_number();
      leaf_depth_ = counts_.size();
    }
    if (*leaf_depth_ != counts_.size()) ragged_number();
  }
  [[noreturn]] void ragged_number() const {
    refuse(here() + " is a number, where a list stands before it: lists must not be ragged");
  }
  template <class Number>
  bool element(Number value) {
    std::get<std::vector<Number>>(data().values).push_back(value);
    ++counts_.back();
    return true;
  }
  template <class Whole>
  bool whole(Whole value) {
    begin_element();
    if (std::get_if<std::vector<float>>(&data().values) != nullptr) {
      return element(static_cast<float>(value));
    }
    if (!std::in_range<std::int32_t>(value) || value < 0) {
      refuse(here() + " is " + std::to_string(value) + ", not a token id (0 to " +
             std::to_string(std::numeric_limits<std::int32_t>::max()) + ")");
    }
    return element(static_cast<std::int32_t>(value));
  }

  std::string_view text_;
  const std::string& source_;
  std::span<const PortInfo> ports_;
  std::vector<Data> all_;
  Dims counts_;                            // elements so far of every list that is open
  std::optional<std::size_t> leaf_depth_;  // how many lists stand around a number
  bool begun_ = false;
};

}  // namespace

std::vector<Data> parse_json_data(std::string_view text, const std::string& source,
                                  std::span<const PortInfo> ports) {
  // the parser takes a NUL for the end of the text
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    throw Error(ErrorKind::invalid,
                source + ": offset " + std::to_string(nul) + ": not JSON: byte 0");
  }
  Reader reader(text, source, ports);
  nlohmann::json::sax_parse(text, &reader);
  return reader.finish();
}

}  // namespace attn::tools
