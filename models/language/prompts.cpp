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
  return prompt;
}

}  // namespace attn::models
