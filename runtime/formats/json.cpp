#include "runtime/formats/json.hpp"

#include "attn/error.hpp"
#include "runtime/formats/text.hpp"

#include <vector>

namespace attn::runtime {
namespace {

[[noreturn]] void fail(std::string_view where, const std::string& why) {
  throw Error(ErrorKind::invalid, std::string(where) + ": " + why);
}

/// Builds the document from the parser's events, because the library's own builder keeps the last
/// of two equal keys silently and knows no limits.
class Builder final : public nlohmann::json_sax<Json> {
 public:
  Builder(std::string_view what, JsonLimits limits) : what_(what), limits_(limits) {}

  Json take() { return std::move(root_); }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(std::int64_t value) override { return add(value); }
  bool number_unsigned(std::uint64_t value) override { return add(value); }
  bool number_float(double value, const std::string& /*text*/) override { return add(value); }
  bool string(std::string& value) override { return add(std::move(value)); }
  bool binary(Json::binary_t& /*value*/) override { return false; }  // JSON text has none

  bool start_object(std::size_t /*elements*/) override { return open(Json::object()); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t /*elements*/) override { return open(Json::array()); }
  bool end_array() override { return close(); }

  bool key(std::string& name) override {
    const auto [place, is_new] = open_.back()->get_ref<Json::object_t&>().emplace(name, nullptr);
    if (!is_new) fail(what_, "the key " + quote(name) + " stands twice in one object");
    member_ = &place->second;
    return true;
  }

  bool parse_error(std::size_t position, const std::string& last,
                   const nlohmann::detail::exception& /*error*/) override {
    fail(what_, "not valid JSON at byte " + std::to_string(position) + ", after " +
                    quote(last.size() > 20 ? std::string_view(last).substr(last.size() - 20)
                                           : std::string_view(last)));
  }

 private:
  Json* put(Json&& value) {
    if (++values_ > limits_.values) {
      fail(what_, "more than " + std::to_string(limits_.values) + " values");
    }
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    if (open_.back()->is_array()) {
      auto& array = open_.back()->get_ref<Json::array_t&>();
      array.push_back(std::move(value));
      return &array.back();
    }
    *member_ = std::move(value);
    return member_;
  }

  bool add(Json&& value) {
    put(std::move(value));
    return true;
  }

  bool open(Json&& container) {
    if (open_.size() >= limits_.depth) {
      fail(what_, "nested deeper than " + std::to_string(limits_.depth) + " levels");
    }
    // the pointer stays good: nothing is added beside a container before it is closed
    open_.push_back(put(std::move(container)));
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  std::string_view what_;
  JsonLimits limits_;
  std::size_t values_ = 0;
  Json root_;
  std::vector<Json*> open_;
  Json* member_ = nullptr;
};

}  // namespace

Json parse_json(std::string_view text, std::string_view what, JsonLimits limits) {
  // the parser takes a NUL for the end of the text, and skips a byte order mark; JSON has neither
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    fail(what, "not valid JSON: a NUL at byte " + std::to_string(nul));
  }
  if (text.starts_with("\xEF\xBB\xBF")) fail(what, "not valid JSON: a byte order mark at byte 0");
  Builder builder(what, limits);
  (void)Json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

std::int64_t json_size(const Json& value, std::string_view field) {
  if (!value.is_number_unsigned() ||
      value.get<std::uint64_t>() > static_cast<std::uint64_t>(largest_json_integer)) {
    fail(field, "must be a whole number from 0 to " + std::to_string(largest_json_integer) +
                    ", not " + json_text(value));
  }
  return value.get<std::int64_t>();
}

const std::string& json_string(const Json& value, std::string_view field) {
  if (!value.is_string()) fail(field, "must be a string, not " + json_text(value));
  return value.get_ref<const std::string&>();
}

const Json& json_member(const Json& object, const std::string& key, std::string_view field) {
  if (!object.is_object()) fail(field, "must be an object, not " + json_text(object));
  const auto place = object.find(key);
  if (place == object.end()) fail(field, "lacks " + quote(key));
  return *place;
}

std::string json_text(const Json& value) {
  if (value.is_string()) return quote(value.get_ref<const std::string&>());
  if (value.is_array()) return "an array of " + std::to_string(value.size());
  if (value.is_object()) return "an object of " + std::to_string(value.size());
  return value.dump();
}

}  // namespace attn::runtime
