#pragma once

#include "attn/attn.hpp"
#include "models/architecture.hpp"
#include "models/weights.hpp"
#include "models/words.hpp"
#include "runtime/session.hpp"

#include <span>
#include <string>
#include <vector>

namespace attn::models {

/// What the size-loss graph computes, and what it takes.
struct SizeLossGraph {
  runtime::ValueId tokens{};        ///< input, I32 [n]
  runtime::ValueId coefficients{};  ///< input, F32 [n]: −1/|size words| or 1/|others|
  runtime::ValueId step{};          ///< input, I32 [1]: Adam's step, from 1
  runtime::ValueId rate{};          ///< input, F64 [1]
  runtime::ValueId loss{};          ///< []
  runtime::ValueId attention_weights{};
  std::vector<std::string> trained;         ///< the weights that the loss depends on
  std::vector<runtime::ValueId> gradients;  ///< by trained
  std::vector<runtime::ValueId> updates;    ///< by trained
};

/// Forward pass, loss, gradients and Adam updates of a size_loss_attention model.
SizeLossGraph build_size_loss(runtime::Graph& graph, const Metadata& metadata,
                              std::span<const WeightSpec> specs);

/// The task made ready: token ids, and which of them are size words.
struct SizeLossData {
  std::vector<std::int32_t> ids;
  std::vector<std::string> tokens;
  std::vector<bool> is_size_word;
  std::vector<float> coefficients;
};

/// Throws Error(invalid) as Model::train says.
SizeLossData prepare_size_loss(const Vocabulary& vocabulary, const std::string& sentence,
                               std::span<const std::string> size_words);

/// Trains `weights` (writable) in place. Throws Error(numerical) on a loss that is no number.
TrainResult train_size_loss(const Metadata& metadata, std::span<const WeightSpec> specs,
                            Weights& weights, const SizeLossData& data, const TrainOptions& options,
                            runtime::SessionOptions session_options);

}  // namespace attn::models
