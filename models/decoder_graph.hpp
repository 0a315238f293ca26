#pragma once

#include "models/transformer_config.hpp"
#include "runtime/graph.hpp"

#include <span>
#include <vector>

namespace attn::models {

/// The tensors of a decoder-only model; `biases`: q, k and v have one (qwen2). The head is tied to
/// the embedding where there is no lm_head.weight.
[[nodiscard]] std::vector<WeightSpec> decoder_weights(const DecoderConfig& config,
                                                      const Shapes& have, bool biases);

/// The values of a decoder's graph that a session gives and takes.
struct DecoderGraph {
  runtime::ValueId tokens = runtime::ValueId::none;     ///< I32 [tokens]
  runtime::ValueId positions = runtime::ValueId::none;  ///< I32 [tokens]
  runtime::ValueId logits = runtime::ValueId::none;     ///< [wanted, vocab], of the last tokens
  std::vector<runtime::ValueId> attention;  ///< by layer: [heads, tokens, context], if asked for
  runtime::ValueId hidden = runtime::ValueId::none;  ///< [wanted, hidden], normed, before the head
  runtime::ValueId head = runtime::ValueId::none;    ///< the weight [vocab, hidden]
  std::vector<runtime::ValueId> between_layers;  ///< what the first layer reads, … the last gives
  runtime::ValueId sequences = runtime::ValueId::none;  ///< I32 [bounds], where packed
  runtime::ValueId runs = runtime::ValueId::none;       ///< I32 [runs, 4], of slots only
  runtime::ValueId rows = runtime::ValueId::none;       ///< I32 [wanted], of slots only
};

/// Builds the model (Touvron et al. 2023; grouped queries: Ainslie et al. 2023) with its symbols in
/// this order:
///   tokens    of this run
///   context   of this run and before
///   capacity  of the cache
///   wanted    whose logits are asked for
/// Keys and values go to states [capacity, kv_heads · head_dim] of type `cache` (F32, BF16 or
/// Q8_0), one pair a layer, at the rows [context − tokens, context). Throws Error(usage) where
/// head_dim is not a whole number of that type's blocks.
[[nodiscard]] DecoderGraph build_decoder(runtime::Graph& graph, const DecoderConfig& config,
                                         std::span<const WeightSpec> specs,
                                         runtime::DType cache = runtime::DType::f32);

/// The same for many sequences, each with a slot of the cache, with the symbols
///   tokens    of all sequences in this run
///   runs      of tokens that belong to one sequence, as runtime::attention_runs() takes them
///   slots     of the cache
///   capacity  of a slot
///   wanted    rows whose logits are asked for, which `rows` lists
/// Keys and values go to states [slots, capacity, kv_heads · head_dim] of type `cache`, as above.
[[nodiscard]] DecoderGraph build_batch_decoder(runtime::Graph& graph, const DecoderConfig& config,
                                               std::span<const WeightSpec> specs,
                                               runtime::DType cache = runtime::DType::f32);

/// The graph that training differentiates: without caches and without logits, hidden [tokens, ..].
/// Packed: the rows are sequences one after the other, with the symbols `tokens` and `bounds` (one
/// more than there are sequences), and no weights are handed out. Otherwise one text, with the
/// symbol `tokens`. In float64 where the specs are F64.
[[nodiscard]] DecoderGraph build_trained_decoder(runtime::Graph& graph, const DecoderConfig& config,
                                                 std::span<const WeightSpec> specs, bool packed);

/// The graph without caches, for Model::run: logits [tokens, vocab] of one text.
void build_plain_decoder(runtime::Graph& graph, const Metadata& metadata,
                         std::span<const WeightSpec> specs, bool batched);

}  // namespace attn::models
