#pragma once

#include "attn/attn.hpp"
#include "tools/common/data.hpp"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace attn::tools {

/// What a model is run on.
struct Feed {
  std::vector<Data> inputs;
  std::vector<std::string> tokens;  ///< the words, where there are words
  std::string source;               ///< where it comes from, for messages: "x.json"
};

/// The inputs for a run: those of the file (--input), or the sentence's words (--sentence), or what
/// the model carries itself (attn.sample_input, attn.sentence). `model_name` stands in messages.
/// Throws Error(usage) where there is none, or a sentence for a model without words.
[[nodiscard]] Feed feed_for(const Model& model, const std::string& model_name,
                            const std::optional<std::string>& file,
                            const std::optional<std::string>& sentence);

/// Runs the model. What does not fit it is Error(invalid) naming the source, and Error(numerical)
/// tells of an output that is not finite.
[[nodiscard]] std::span<const Output> run_on(Model& model, const Feed& feed);

}  // namespace attn::tools
