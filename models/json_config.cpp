#include "models/json_config.hpp"

#include "attn/error.hpp"
#include "runtime/formats/mapped_file.hpp"
#include "runtime/formats/text.hpp"

#include <cmath>

namespace attn::models {

using runtime::Json;

namespace {

Json read(const std::filesystem::path& path) {
  const auto file = runtime::MappedFile::open(path);
  const auto bytes = file.bytes();
  return runtime::parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                             runtime::path_text(path));
}

}  // namespace

JsonConfig::JsonConfig(const std::filesystem::path& path)
    : JsonConfig(runtime::path_text(path), read(path)) {}

JsonConfig::JsonConfig(std::string name, Json object)
    : name_(std::move(name)), object_(std::move(object)) {
  if (!object_.is_object()) fail("is no object");
}

void JsonConfig::fail(const std::string& problem) const {
  throw Error(ErrorKind::invalid, name_ + ": " + problem);
}

void JsonConfig::not_done(const std::string& key) const {
  fail(key + ": " + runtime::json_text(object_.at(key)) + " is not done here");
}

const Json* JsonConfig::find(const std::string& key) const {
  const auto found = object_.find(key);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

const Json& JsonConfig::need(const std::string& key) const {
  const Json* const value = find(key);
  if (value == nullptr) fail(key + " is missing");
  return *value;
}

std::optional<double> JsonConfig::number(const std::string& key) const {
  const Json* const value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number() || !std::isfinite(value->get<double>())) {
    fail(key + ": " + runtime::json_text(*value) + " is no finite number");
  }
  return value->get<double>();
}

std::string JsonConfig::text(const std::string& key, const std::string& otherwise) const {
  const Json* const value = find(key);
  return value == nullptr ? otherwise : runtime::json_string(*value, name_ + ": " + key);
}

bool JsonConfig::flag(const std::string& key) const {
  const Json* const value = find(key);
  if (value == nullptr) return false;
  if (!value->is_boolean()) fail(key + ": " + runtime::json_text(*value) + " is no boolean");
  return value->get<bool>();
}

}  // namespace attn::models
