#pragma once

#include "tools/common/choices.hpp"
#include "tools/common/tool.hpp"

#include <optional>
#include <string>

namespace attn::tools {

/// The command line of attn-tune as text: what an option means is known once the model is.
struct Arguments {
  std::optional<std::string> model, task, sentence, size_words, seed, threads, output, plot;
  std::optional<std::string> epochs, rate;
  // teaching models
  std::optional<std::string> embedding_dim;
  // language models and encoders
  std::optional<std::string> data, rank, alpha, dropout, targets, adapter;
  std::optional<std::string> batch, context, steps, weight_decay, schedule, warmup, clip,
      accumulate, precision, memory_limit;
  std::optional<std::string> checkpoint_every, evaluation, evaluation_share, evaluate_every,
      patience, log;
  std::optional<std::string> layers, heads, attention_weight, page;
  bool lora = false, full = false, no_shuffle = false, checkpoint_activations = false,
       resume = false, json = false;
};

void declare(CLI::App& app, Arguments& arguments);

/// Those that only language models and encoders have.
[[nodiscard]] std::string given_of_text_models(const Arguments& arguments);

inline constexpr const char* default_sentence =
    "The pink elephant tried to get into the car but it was too";
inline constexpr const char* default_size_words = "elephant,car,too";

}  // namespace attn::tools
