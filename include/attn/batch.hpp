#pragma once

// The answers to many prompts, decoded together: every weight is read once for a token of each.

#include "attn/generator.hpp"

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace attn {

struct BatchPrompt {
  std::vector<std::int32_t> tokens;
  int max_tokens = -1;    ///< as GenerateOptions::max_tokens
  std::string name = {};  ///< what errors call it; empty: "prompt 0", by its place
};

struct BatchOptions {
  int parallel = 16;  ///< sequences that are decoded together at most, 1 to 64
  int context = 0;    ///< tokens of a prompt and its answer, as GeneratorOptions::context
  int batch = 512;    ///< tokens of all prompts that are read at a time
  KvType kv_type = KvType::f32;        ///< as GeneratorOptions::kv_type
  Sampling sampling = {};              ///< of every answer, each as if it were alone
  std::vector<std::string> stop = {};  ///< as GenerateOptions::stop
  /// Called for every answer as it ends, with its prompt's place; they end in any order.
  std::function<void(std::size_t, const Generation&)> on_answer = nullptr;
  OnProgress progress = nullptr;  ///< answers that have ended; called for every token of them all
  /// Ends them all, in place of the model's.
  std::optional<CancelToken> cancel = {};
};

/// The answers in the order of the prompts. As many sequences as `parallel` go on at once, and one
/// that ends makes room for the next prompt. An answer is what a Generator gives but for roundings:
/// prompts are read together, and products with more than 8 rows sum in another order. Its seconds
/// are those from when it was begun, which it shared with others. Throws what Generator and
/// generate() throw, Error(invalid) naming the prompt for one that does not fit, and what the
/// callbacks throw; Error(memory) before anything is allocated if a cache of the longest prompt and
/// answer for each sequence would not fit into what memory is free. One thread at a time, as for a
/// Generator.
[[nodiscard]] ATTN_API std::vector<Generation> generate_batch(const Model& model,
                                                              std::span<const BatchPrompt> prompts,
                                                              const BatchOptions& options = {});

}  // namespace attn
