#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace attn::models {

/// A model's metadata: strings by key, as the container holds them, with typed access. Every error
/// is Error(invalid) and names key and value.
class Metadata {
 public:
  Metadata() = default;
  explicit Metadata(std::map<std::string, std::string> values) : values_(std::move(values)) {}
  /// Those of a new model, whose values errors call parameters.
  [[nodiscard]] static Metadata parameters(std::map<std::string, std::string> values);

  [[nodiscard]] const std::map<std::string, std::string>& all() const noexcept { return values_; }
  [[nodiscard]] bool has(std::string_view key) const;
  void set(std::string key, std::string value) { values_[std::move(key)] = std::move(value); }

  [[nodiscard]] const std::string& text(std::string_view key) const;
  /// A whole number in [low, high].
  [[nodiscard]] std::int64_t integer(std::string_view key, std::int64_t low,
                                     std::int64_t high) const;
  /// A finite number in [low, high].
  [[nodiscard]] double number(std::string_view key, double low, double high) const;
  /// "true" or "false"; false if the key is absent.
  [[nodiscard]] bool flag(std::string_view key) const;
  /// attn.scale: a finite number that a float holds, or none if the key is absent.
  [[nodiscard]] std::optional<double> scale() const;
  /// A JSON list of whole numbers from 0 to below `count`; empty if the key is absent.
  [[nodiscard]] std::vector<std::int32_t> ids(std::string_view key, std::int64_t count) const;
  /// A JSON list of strings.
  [[nodiscard]] std::vector<std::string> strings(std::string_view key) const;
  /// A JSON string, or text as it stands; empty if the key is absent.
  [[nodiscard]] std::string sentence(std::string_view key) const;

 private:
  [[nodiscard]] std::string field(std::string_view key) const;

  std::map<std::string, std::string> values_;
  std::string_view noun_ = "metadata";  // what errors call a value
};

/// A number for metadata, in the fewest digits that give it back.
[[nodiscard]] std::string to_text(double number);

/// A JSON text for metadata.
[[nodiscard]] std::string to_json(const std::vector<std::string>& strings);
[[nodiscard]] std::string to_json(const std::string& string);

}  // namespace attn::models
