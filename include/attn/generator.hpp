#pragma once

// Text from a language model.

#include "attn/attn.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace attn {

/// How the cache keeps the keys and values of what was read: as computed, rounded to bfloat16 in
/// half of the memory, or in blocks of 32 with a scale each (GGUF's Q8_0), in 27% of it.
enum class KvType { f32, bf16, q8_0 };

struct GeneratorOptions {
  /// Tokens of prompt and answer together that there is room for; 0: what the model was trained on,
  /// at most 4096. More than it was trained on is an error.
  int context = 0;
  /// Tokens read at a time while a prompt is read; 1: one by one, as an answer is generated.
  int batch = 512;
  /// Less memory for long contexts, and less to read for every token. q8_0 needs heads in whole
  /// blocks of 32.
  KvType kv_type = KvType::f32;
  /// Ends what this generator does, in place of the model's.
  std::optional<CancelToken> cancel = {};
};

/// A new token, and the text that it completes: empty while a character or a stop string is still
/// open.
struct GeneratedToken {
  std::int32_t id = 0;
  std::string_view text;
};

struct GenerateOptions {
  int max_tokens = -1;  ///< -1: until the model ends its text or the context is full; 0: only read
  Sampling sampling = {};
  /// Texts that end the answer and do not appear in it; not "".
  std::vector<std::string> stop = {};
  /// Guesses up to 7 tokens (fewer than GeneratorOptions::batch) by what followed the last ones
  /// before, and reads them together with the last. The answer is the same, token by token; it
  /// comes sooner where it repeats the prompt or itself.
  bool lookup = false;
  /// Called for every token as it comes but the end token, and for the last one once more where
  /// text was held back that no stop string followed; false ends the answer, and is the last call.
  std::function<bool(const GeneratedToken&)> on_token = nullptr;
  OnProgress on_prompt = nullptr;  ///< tokens of the prompt that are read
};

/// Why an answer ended.
enum class Finish { end_token, stop_string, length, context_full, cancelled };

struct Generation {
  std::vector<std::int32_t> prompt;  ///< as it was read: the begin token where none was given
  std::vector<std::int32_t> tokens;  ///< the end token included
  std::string text;                  ///< of the tokens, as the on_token calls gave it
  Finish finish = Finish::length;
  int reused = 0;                  ///< tokens of the prompt that the cache still held
  int forwards = 0;                ///< runs of the model after the prompt
  int proposed = 0, accepted = 0;  ///< tokens that lookup guessed, and those that came true
  double prompt_seconds = 0, decode_seconds = 0;
};

struct Perplexity {
  std::int64_t tokens = 0;  ///< that were read: one that would be alone in its window is not
  double value = 0;         ///< exp of the mean negative log probability of each next token
};

/// Generates text with a language model, which has to outlive it. It keeps the keys and values of
/// what it has read: a prompt that begins like the last one, as the next turn of a conversation
/// does, is read from where it differs. One thread at a time; two generators on one model may run
/// in two threads. Prompts are token ids, below the vocabulary's size. One that was moved from
/// throws Error(usage).
class ATTN_API Generator {
 public:
  /// Throws Error(usage) if the model is no language model or for options that are out of range or
  /// do not fit it,
  /// Error(memory) before anything is allocated if the cache would not fit into what memory is
  /// free.
  explicit Generator(const Model& model, const GeneratorOptions& options = {});
  Generator(Generator&&) noexcept;
  Generator& operator=(Generator&&) noexcept;
  ~Generator();

  [[nodiscard]] int context() const;

  /// Throws Error(usage) for a prompt longer than the context, an empty one where the model has no
  /// begin token, or options out of range, Error(invalid) for an unknown id, Error(numerical) for
  /// logits that are not finite, Error(cancelled). After an error, on_token's own included, the
  /// generator goes on from what it has read.
  Generation generate(std::span<const std::int32_t> prompt, const GenerateOptions& options = {});

  /// The logits [vocab] after every position, in order; each span is valid during its call.
  /// `prompt` as for generate().
  void logits(std::span<const std::int32_t> prompt,
              const std::function<void(std::int64_t position, std::span<const float>)>& each);

  /// Over windows as long as the context, the first token of each unscored. Throws Error(invalid)
  /// for fewer than two tokens or an unknown id, before anything is read, Error(usage) in a context
  /// of 1.
  Perplexity perplexity(std::span<const std::int32_t> tokens, const OnProgress& progress = {});

  /// Op by op, as Model::profile().
  [[nodiscard]] std::vector<OpProfile> profile() const;

 private:
  class Impl;
  [[nodiscard]] Impl& self() const;
  std::unique_ptr<Impl> impl_;
};

}  // namespace attn
