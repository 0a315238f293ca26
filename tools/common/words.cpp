#include "tools/common/words.hpp"

#include "tools/draw/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace attn::tools {

double WordWeights::size_weight() const {
  double sum = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) sum += is_size_word[i] ? weights[i] : 0.0F;
  return sum;
}

bool WordWeights::has_size_words() const {
  return std::find(is_size_word.begin(), is_size_word.end(), true) != is_size_word.end();
}

std::vector<bool> mark_size_words(std::span<const std::string> tokens,
                                  std::span<const std::string> size_words) {
  std::vector<bool> marks;
  for (const std::string& token : tokens) {
    marks.push_back(std::find(size_words.begin(), size_words.end(), token) != size_words.end());
  }
  return marks;
}

std::string ranking_text(const WordWeights& words) {
  std::vector<std::size_t> order(words.tokens.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return words.weights[a] > words.weights[b];
  });
  int widest = 0;
  for (const std::string& token : words.tokens) {
    widest = std::max(widest, display_width(visible(token)));
  }
  std::string out;
  for (const std::size_t i : order) {
    const std::string token = visible(words.tokens[i]);
    const auto padding = static_cast<std::size_t>(widest - display_width(token));
    out += fmt::format("Token: {}{}   Attention Weight: {:.4f}\n", token, std::string(padding, ' '),
                       words.weights[i]);
  }
  if (words.has_size_words()) {
    out += fmt::format("Combined weight for size-related words: {:.4f}\n", words.size_weight());
  }
  return out;
}

}  // namespace attn::tools
