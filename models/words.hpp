#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace attn::models {

/// What stands between blanks (space, tab, newline), case kept.
[[nodiscard]] std::vector<std::string> split_words(std::string_view sentence);

/// Words and their ids, which count from 0 in the given order.
class Vocabulary {
 public:
  Vocabulary() = default;
  /// Throws Error(invalid) on a word that stands twice.
  explicit Vocabulary(std::vector<std::string> words);
  /// The words of a sentence in order of first appearance.
  [[nodiscard]] static Vocabulary of(std::string_view sentence);

  [[nodiscard]] const std::vector<std::string>& words() const noexcept { return words_; }
  /// Throws Error(invalid) for an empty sentence, or naming the word that the vocabulary lacks.
  [[nodiscard]] std::vector<std::int32_t> encode(std::string_view sentence) const;

 private:
  std::vector<std::string> words_;
  std::unordered_map<std::string, std::int32_t> ids_;
};

}  // namespace attn::models
