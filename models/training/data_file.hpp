#pragma once

#include "attn/tune_data.hpp"
#include "runtime/formats/json.hpp"
#include "runtime/formats/mapped_file.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace attn::models {

/// A file of examples, open for reading.
class DataFile {
 public:
  /// Throws Error(io), or Error(invalid) for an empty file.
  explicit DataFile(const std::filesystem::path& path);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] bool json_lines() const noexcept { return json_lines_; }
  [[nodiscard]] std::string_view text() const noexcept { return text_; }

  /// Every line that is not blank, without its end, and what errors call it: "data.jsonl:3".
  void each_line(
      const std::function<void(std::string_view line, const std::string& where)>& use) const;

 private:
  std::string name_;
  runtime::MappedFile file_;
  std::string_view text_;
  bool json_lines_ = false;
};

/// The JSON object of a line. Throws Error(invalid).
[[nodiscard]] runtime::Json line_object(std::string_view line, const std::string& where);

/// The member as a text; Error(invalid) where it is none.
[[nodiscard]] const std::string& line_text(const runtime::Json& object, const char* key,
                                           const std::string& where);

/// The list `key` of whole numbers from `low` to below `vocab`. Throws Error(invalid), naming the
/// element.
[[nodiscard]] std::vector<std::int32_t> line_ids(const runtime::Json& object, const char* key,
                                                 std::int64_t low, std::int64_t vocab,
                                                 const std::string& where);

/// The options with a context. Throws Error(usage) for one below 0, and for a model that reads no
/// texts.
[[nodiscard]] DataOptions checked_data_options(const Model& model, DataOptions options);

/// Error(invalid) for data from which nothing can be learned, in one wording.
[[noreturn]] void refuse_data(const std::string& where, const std::string& problem);

/// "1 token", "2 tokens"
[[nodiscard]] std::string count_text(std::size_t count, const char* what);

/// The tokens of a text, and how many of them the tokenizer put before and after.
struct TextTokens {
  std::vector<std::int32_t> tokens;
  std::size_t before = 0, after = 0;
};
[[nodiscard]] TextTokens text_tokens(const Model& model, std::string_view text);

}  // namespace attn::models
