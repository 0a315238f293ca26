#pragma once

#include <span>
#include <string>
#include <vector>

namespace attn::tools {

/// The words of a sentence with the weight that each gets, as the size-loss model gives them.
struct WordWeights {
  std::span<const std::string> tokens;
  std::span<const float> weights;
  std::vector<bool> is_size_word;  ///< by token

  /// Σ of the weights of size words.
  [[nodiscard]] double size_weight() const;
  [[nodiscard]] bool has_size_words() const;
};

/// Which of the tokens are size words.
[[nodiscard]] std::vector<bool> mark_size_words(std::span<const std::string> tokens,
                                                std::span<const std::string> size_words);

/// "Token: elephant   Attention Weight: 0.2515" line by line, the largest first (equal ones in the
/// order of the sentence), then "Combined weight for size-related words: 0.9728" if there are such
/// words.
[[nodiscard]] std::string ranking_text(const WordWeights& words);

}  // namespace attn::tools
