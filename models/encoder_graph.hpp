#pragma once

#include "models/transformer_config.hpp"
#include "runtime/graph.hpp"

#include <span>
#include <vector>

namespace attn::models {

/// The values of an encoder's graph that a session gives and takes.
struct EncoderGraph {
  runtime::ValueId tokens = runtime::ValueId::none;       ///< I32 [tokens]
  runtime::ValueId positions = runtime::ValueId::none;    ///< I32 [tokens]
  runtime::ValueId token_types = runtime::ValueId::none;  ///< I32 [tokens]
  runtime::ValueId sequences = runtime::ValueId::none;    ///< I32 [bounds], where packed
  runtime::ValueId hidden = runtime::ValueId::none;       ///< [tokens, hidden]
  std::vector<runtime::ValueId> attention;  ///< by layer: [heads, tokens, tokens]; not where packed
  std::vector<runtime::ValueId> between_layers;  ///< what the first layer reads, … the last gives
};

/// Builds BERT (Devlin et al. 2018) with the symbols `tokens` and, where packed, `bounds`: one more
/// than the sequences that lie one after the other in the rows.
[[nodiscard]] EncoderGraph build_encoder(runtime::Graph& graph, const EncoderConfig& config,
                                         std::span<const WeightSpec> specs, bool packed);

}  // namespace attn::models
