// Qwen2: a llama whose queries, keys and values have biases.

#include "models/architectures.hpp"
#include "models/decoder_graph.hpp"

namespace attn::models {
namespace {

std::vector<WeightSpec> weights(const Metadata& metadata, const Shapes& have) {
  return decoder_weights(decoder_config(metadata, have), have, true);
}

}  // namespace

const Architecture qwen2{.name = "qwen2",
                         .weights = weights,
                         .build = build_plain_decoder,
                         .purpose = Purpose::language};

}  // namespace attn::models
