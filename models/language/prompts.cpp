#include "models/language/prompts.hpp"

#include "attn/error.hpp"

#include <algorithm>
#include <string>

namespace attn::models {
namespace {

// More room than this has to be asked for: the cache of a long-context model can be gigabytes.
constexpr std::int64_t default_context = 4096;

}  // namespace

int checked_context(const TextInfo& text, int asked) {
  const std::int64_t trained = text.trained_context;
  if (asked < 0 || asked > trained) {
    throw Error(ErrorKind::usage, "context: " + std::to_string(asked) + " is not in 1.." +
                                      std::to_string(trained) + ", which the model was trained on");
  }
  return static_cast<int>(asked == 0 ? std::min(trained, default_context) : asked);
}

void check_tokens(std::span<const std::int32_t> tokens, std::int64_t vocab, std::int64_t first) {
  const auto unknown = std::find_if(tokens.begin(), tokens.end(),
                                    [&](std::int32_t id) { return id < 0 || id >= vocab; });
  if (unknown == tokens.end()) return;
  throw Error(ErrorKind::invalid, "token " + std::to_string(*unknown) + " at position " +
                                      std::to_string(first + (unknown - tokens.begin())) +
                                      " is not in 0.." + std::to_string(vocab - 1));
}

void truncate(std::vector<std::int32_t>& tokens, std::size_t longest, std::size_t suffix) {
  if (tokens.size() <= longest) return;
  suffix = std::min(suffix, longest);
  std::copy(tokens.end() - static_cast<std::ptrdiff_t>(suffix), tokens.end(),
            tokens.begin() + static_cast<std::ptrdiff_t>(longest - suffix));
  tokens.resize(longest);
}

std::vector<std::int32_t> checked_prompt(const TextInfo& text, std::span<const std::int32_t> given,
                                         int context) {
  std::vector<std::int32_t> prompt(given.begin(), given.end());
  if (prompt.empty()) {
    if (!text.begin_token) {
      throw Error(ErrorKind::usage,
                  "the prompt is empty, and the model has no begin token to start from");
    }
    prompt.push_back(*text.begin_token);
  }
  if (prompt.size() > static_cast<std::size_t>(context)) {
    throw Error(ErrorKind::usage, "the prompt has " + std::to_string(prompt.size()) +
                                      " tokens, and the context room for " +
                                      std::to_string(context));
  }
  check_tokens(prompt, text.vocab_size);
  return prompt;
}

}  // namespace attn::models
