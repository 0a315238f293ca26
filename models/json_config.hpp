#pragma once

#include "runtime/formats/json.hpp"

#include <filesystem>
#include <optional>
#include <string>

namespace attn::models {

/// config.json and its like: an object's members by name. A member that is null counts as absent.
/// Every error is Error(invalid) and names file, member and value.
class JsonConfig {
 public:
  /// Throws Error(io) for a file that cannot be read, Error(invalid) if it is no JSON object.
  explicit JsonConfig(const std::filesystem::path& path);
  /// `name` stands in messages.
  JsonConfig(std::string name, runtime::Json object);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[noreturn]] void fail(const std::string& problem) const;
  /// Refuses the value of a member that is there.
  [[noreturn]] void not_done(const std::string& key) const;

  /// Null for an absent member.
  [[nodiscard]] const runtime::Json* find(const std::string& key) const;
  [[nodiscard]] const runtime::Json& need(const std::string& key) const;
  /// A finite number.
  [[nodiscard]] std::optional<double> number(const std::string& key) const;
  [[nodiscard]] std::string text(const std::string& key, const std::string& otherwise = "") const;
  [[nodiscard]] bool flag(const std::string& key) const;

 private:
  std::string name_;
  runtime::Json object_;
};

}  // namespace attn::models
