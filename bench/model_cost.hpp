#pragma once

#include "attn/attn.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace attn::bench {

/// One thing to measure: reading prompts, or decoding after one.
struct Test {
  int prompt = 0;    ///< tokens of each text that are read, at most; 0 where tokens are generated
  int shortest = 0;  ///< of an encoder's texts; `prompt` where all are alike
  int generate = 0;  ///< tokens generated one by one
  int batch = 1;     ///< language models: tokens read at a time; encoders: texts at once
  int depth = 0;     ///< tokens in the cache before
  int parallel = 1;  ///< answers generated together
  int threads = 1;

  /// The tokens of each text that an encoder embeds together: spread evenly from the shortest to
  /// the longest, in an arbitrary order that is always the same.
  [[nodiscard]] std::vector<int> lengths() const;

  /// Tokens that one run is about.
  [[nodiscard]] std::int64_t tokens(bool encoder) const;

  /// Tokens that a language model has to have room for. What is generated follows something.
  [[nodiscard]] int context() const { return depth + std::max(prompt, 1) + generate; }
};

/// "pp512", "tg64 @ d1024" as llama-bench has it, "tg64 x16" of answers together; of encoders
/// "8x128", texts x tokens, or "64x5..200".
[[nodiscard]] std::string test_name(const Test& test, bool encoder);

/// What a model costs, as its tensors tell.
struct ModelCost {
  std::string type;  ///< architecture, parameters and the type of most weights: "llama 135M Q4_1"
  std::string weight_type;
  std::int64_t bytes = 0, parameters = 0;
  bool encoder = false;
  double layer_weights = 0;      ///< elements that every token is multiplied with
  double head_weights = 0;       ///< those that only a position with logits is
  double attention_width = 0;    ///< columns of the queries, of all layers together
  std::int64_t token_bytes = 0;  ///< of the weights that generating a token reads
  std::int64_t context = 0;      ///< tokens that it was trained on
  std::string isa;               ///< the level it runs at
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ModelCost, type, weight_type, bytes, parameters, encoder,
                                   layer_weights, head_weights, attention_width, token_bytes,
                                   context, isa)

[[nodiscard]] ModelCost model_cost(const Model& model);

/// Floating-point operations of the matrix products of one run that reads: with weights, of queries
/// with keys, and of attention weights with values.
[[nodiscard]] double prompt_operations(const ModelCost& cost, const Test& test);

}  // namespace attn::bench
