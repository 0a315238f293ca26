// Llama and its relatives (SmolLM2, TinyLlama, Mistral): RMS norms, rotary positions, grouped
// queries, gated SiLU.

#include "models/architectures.hpp"
#include "models/decoder_graph.hpp"

namespace attn::models {
namespace {

std::vector<WeightSpec> weights(const Metadata& metadata, const Shapes& have) {
  // "attention_bias" of some relatives
  const bool biases = have.contains("model.layers.0.self_attn.q_proj.bias");
  return decoder_weights(decoder_config(metadata, have), have, biases);
}

}  // namespace

const Architecture llama{.name = "llama",
                         .weights = weights,
                         .build = build_plain_decoder,
                         .purpose = Purpose::language};

}  // namespace attn::models
