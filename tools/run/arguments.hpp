#pragma once

#include "attn/attn.hpp"
#include "tools/common/choices.hpp"

#include <CLI/CLI.hpp>

#include <optional>
#include <string>
#include <vector>

namespace attn::tools {

/// The command line of attn-run as text: what an option means is known once the model is.
struct Arguments {
  std::optional<std::string> model, example, threads, precision;
  std::vector<std::string> adapters;
  // teaching models
  std::optional<std::string> input, sentence;
  // text
  std::optional<std::string> prompt, file, tokens, count, context, batch, kv_type, system;
  std::optional<std::string> temperature, top_k, top_p, min_p, repeat_penalty, seed;
  std::vector<std::string> stop;
  std::optional<std::string> logits, top_logits, perplexity, max_tokens, batch_file, parallel;
  bool chat = false, tokenize = false, embed = false, similarity = false, parse_special = false;
  bool lookup = false;
  // pictures
  std::optional<std::string> picture, layers, heads;

  bool examples = false, json = false, profile = false, info = false, verify = false;
};

void declare(CLI::App& app, Arguments& arguments);

/// Options for Model::open; Error(usage) for values out of range.
[[nodiscard]] Options open_options(const Arguments& arguments);

/// Throws Error(usage) for options that only text models have ("--chat needs a language model, and
/// self_attention is none"), or only encoders, or only teaching models.
void refuse_text_options(const Arguments& arguments, const std::string& architecture);
void refuse_generation_options(const Arguments& arguments, const std::string& architecture);
void refuse_encoder_options(const Arguments& arguments, const std::string& architecture);
void refuse_tensor_options(const Arguments& arguments, const std::string& architecture);

}  // namespace attn::tools
