#pragma once

#include "models/architecture.hpp"
#include "runtime/graph.hpp"

#include <span>

namespace attn::models {

/// The graph of a size_loss_attention model; its weights are declared by their names.
struct WordAttention {
  runtime::ValueId tokens;             ///< input, I32 [n]
  runtime::ValueId attention_weights;  ///< [n]: the last token's query over all keys
  runtime::ValueId context_vector;     ///< [d]
};

WordAttention build_word_attention(runtime::Graph& graph, const Metadata& metadata,
                                   std::span<const WeightSpec> specs);

}  // namespace attn::models
