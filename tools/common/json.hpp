#pragma once

#include "attn/attn.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace attn::tools {

// JSON as the tools write it: every number in the fewest digits that give the same number back.
// Numbers have to be finite.

[[nodiscard]] std::string json_number(float value);
[[nodiscard]] std::string json_number(double value);

/// Quoted and escaped; bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] std::string json_string(std::string_view text);

[[nodiscard]] std::string json_list(std::span<const float> values);
[[nodiscard]] std::string json_list(std::span<const double> values);
[[nodiscard]] std::string json_list(std::span<const std::int64_t> values);
[[nodiscard]] std::string json_list(const std::vector<std::string>& values);

/// Row-major values as lists in lists, one level a dimension.
[[nodiscard]] std::string json_nested(std::span<const float> values, const Dims& shape);

/// An object, a member a line: {"key": value, …}. Values are JSON already.
class JsonObject {
 public:
  explicit JsonObject(int depth = 0) : depth_(depth) {}
  void add(std::string_view key, const std::string& json);
  [[nodiscard]] std::string text() const;

 private:
  int depth_;
  std::string members_;
};

/// A list, an element a line. Elements are JSON already.
[[nodiscard]] std::string json_lines(const std::vector<std::string>& elements, int depth);

}  // namespace attn::tools
