#pragma once

#include "attn/tune.hpp"
#include "models/architecture.hpp"
#include "runtime/graph.hpp"

#include <span>
#include <vector>

namespace attn::models {

/// What a tuning graph computes.
struct TuneGoal {
  TuneTask task = TuneTask::language;
  bool language = true;         ///< attention: is there a language loss?
  double attention_weight = 1;  ///< of the attention loss in the whole
  std::vector<int> layers;      ///< attention: those that are looked at
  bool scored = true;           ///< similarity: pairs with scores
  bool dropout = false;         ///< is there an input for it?
};

/// Forward from examples to losses, for training and for evaluation. Symbols in this order:
///   tokens  of all examples
///   bounds  one more than there are sequences (not of attention, which takes one example)
///   texts, pairs  of similarity: first the texts a, then the texts b
struct TuneGraph {
  runtime::Graph graph;

  // inputs; none where the task has no use for them
  runtime::ValueId tokens = runtime::ValueId::none;        ///< I32 [tokens]
  runtime::ValueId positions = runtime::ValueId::none;     ///< I32 [tokens]
  runtime::ValueId token_types = runtime::ValueId::none;   ///< I32 [tokens]
  runtime::ValueId sequences = runtime::ValueId::none;     ///< I32 [bounds]
  runtime::ValueId targets = runtime::ValueId::none;       ///< I32 [tokens], of similarity [pairs]
  runtime::ValueId scale = runtime::ValueId::none;         ///< F64 [1], of the language loss
  runtime::ValueId dropout = runtime::ValueId::none;       ///< I32 [1]
  runtime::ValueId coefficients = runtime::ValueId::none;  ///< [heads, tokens]: Σ c a is the loss
  runtime::ValueId looking = runtime::ValueId::none;       ///< [heads, tokens]: Σ c a is looked_at
  runtime::ValueId first_rows = runtime::ValueId::none;    ///< I32 [texts], of cls pooling
  runtime::ValueId scores = runtime::ValueId::none;        ///< [pairs]
  runtime::ValueId shares = runtime::ValueId::none;        ///< [pairs]: of each in the loss

  // results
  runtime::ValueId loss = runtime::ValueId::none;            ///< [], what is differentiated
  runtime::ValueId language_loss = runtime::ValueId::none;   ///< []
  runtime::ValueId attention_loss = runtime::ValueId::none;  ///< [], less what is constant in it
  runtime::ValueId looked_at = runtime::ValueId::none;       ///< []
  runtime::ValueId cosines = runtime::ValueId::none;         ///< [pairs]
  std::vector<runtime::ValueId> between_layers;

  /// The results there are, loss first.
  [[nodiscard]] std::vector<runtime::ValueId> results() const;
};

/// Scores of the in-batch negatives' softmax are cosines times this, as Sentence Transformers'
/// MultipleNegativesRankingLoss has it.
inline constexpr double cosine_scale = 20;

/// Builds it from an architecture that reads tokens. In float64 where the specs are F64. Throws
/// Error(usage) for a task that the model is not for.
void build_tune_graph(TuneGraph& to, const Architecture& kind, const Metadata& metadata,
                      std::span<const WeightSpec> specs, const TuneGoal& goal);

}  // namespace attn::models
