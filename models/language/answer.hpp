#pragma once

#include "attn/generator.hpp"
#include "models/text/sampler.hpp"
#include "models/text/stop.hpp"
#include "models/text/tokenizer.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace attn::models {

// Throw Error(usage) for what GenerateOptions must not have.
void check_max_tokens(int max_tokens);
void check_stops(std::span<const std::string> stop);

/// An answer as it comes, token by token: chosen, turned into text, told, and ended. What reads the
/// tokens, and how many answers together, is somebody else's matter. One thread at a time.
class Answer {
 public:
  /// To result.prompt, in a context of that many tokens; the tokens, the text and the finish go to
  /// `result`. Without a tokenizer (null) there is no text. All that is handed in outlives the
  /// answer. Throws Error(usage) for options out of range.
  Answer(const Tokenizer* tokenizer, const TextInfo& info, const GenerateOptions& options,
         int context, Generation& result);

  /// Does it go on?
  [[nodiscard]] bool open() const noexcept { return open_; }
  /// Prompt and answer so far.
  [[nodiscard]] std::span<const std::int32_t> sequence() const noexcept { return sequence_; }
  /// How many more tokens are wanted, at most.
  [[nodiscard]] int wanted() const noexcept;

  /// Chooses the next token by the logits after the last one, and says it. Throws as
  /// Sampler::sample() does, and what on_token throws.
  std::int32_t take(std::span<const float> logits);
  /// Says what was held back as the beginning of a stop string or of a character, unless on_token
  /// had ended it.
  void close();

 private:
  bool tell(std::int32_t token, const std::string& text);

  const TextInfo& info_;
  const GenerateOptions& options_;
  int context_;
  Generation& result_;
  Sampler sampler_;
  StopStrings stop_;
  std::optional<TextStream> stream_;
  std::vector<std::int32_t> sequence_;
  bool open_;
};

}  // namespace attn::models
