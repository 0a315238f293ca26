#pragma once

// The plain data of language models and encoders: what goes into text, and what comes out of it.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace attn {

/// How the next token is chosen from the logits.
struct Sampling {
  double temperature = 0.8;  ///< ≥ 0; 0: the likeliest token, always
  int top_k = 0;             ///< only the k likeliest; 0: off
  double top_p = 0.95;       ///< only the likeliest that together reach this; in (0, 1], 1: off
  double min_p = 0.05;       ///< only those at least this fraction of the likeliest; [0, 1], 0: off
  double repeat_penalty = 1;  ///< 0.001 to 1000; above 1 makes recent tokens less likely; 1: off
  int repeat_window = 64;     ///< tokens that count as recent; ≥ 0
  std::uint64_t seed = 0;     ///< the same seed gives the same choices on every machine
};

/// What a model can do with text.
struct TextInfo {
  bool generates = false;  ///< a language model: see Generator
  bool embeds = false;     ///< an encoder: see Model::embed
  bool tokenizes = false;  ///< it carries a tokenizer
  bool chats = false;      ///< and a chat template
  std::int64_t vocab_size = 0;
  std::int64_t trained_context = 0;  ///< tokens; of an encoder what it truncates text to
  std::optional<std::int32_t> begin_token;
  std::vector<std::int32_t> end_tokens;  ///< each ends a generation
  int layers = 0, heads = 0;
};

struct TokenizeOptions {
  bool add_special = true;     ///< what the tokenizer adds itself: a begin token, [CLS] and [SEP]
  bool parse_special = false;  ///< special tokens spelled out in the text count as such
  bool truncate = false;       ///< of an encoder: to what it was made for, the special tokens kept
};

/// One message of a conversation.
struct ChatMessage {
  std::string role;  ///< "system", "user" or "assistant"
  std::string content;
};

/// Embeddings of several texts, [count, width] row-major.
struct Embeddings {
  std::int64_t width = 0;
  std::vector<float> values;
};

/// How far a long call is: done of total, in tokens or texts. Called by the calling thread; what it
/// throws ends the call.
using OnProgress = std::function<void(std::int64_t done, std::int64_t total)>;

/// Where every token looks: [layer][head][query][key], 0 where a key is hidden.
struct AttentionMaps {
  std::vector<std::int32_t> tokens;
  std::vector<int> layers;  ///< those asked for, in that order
  int heads = 0;
  std::vector<float> weights;
};

}  // namespace attn
