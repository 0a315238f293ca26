// Multi-head attention (Vaswani et al. 2017): projections without bias, heads side by side, an
// output projection with bias. The scale is 1/√embedding_size unless the metadata says otherwise.

#include "attn/error.hpp"
#include "models/architectures.hpp"
#include "runtime/ops.hpp"

#include <array>
#include <cmath>

namespace attn::models {
namespace {

constexpr std::int64_t most_heads = 1 << 16;

std::vector<WeightSpec> specs(std::int64_t d, std::int64_t heads) {
  if (d % heads != 0) {
    throw Error(ErrorKind::invalid, "embedding size " + std::to_string(d) +
                                        " is not a multiple of attn.num_heads " +
                                        std::to_string(heads));
  }
  return {square_projection("q_proj.weight", d),
          square_projection("k_proj.weight", d),
          square_projection("v_proj.weight", d),
          square_projection("out_proj.weight", d),
          {"out_proj.bias", {d}, Initial::uniform, d}};
}

std::vector<WeightSpec> weights(const Metadata& metadata, const Shapes& have) {
  (void)metadata.scale();
  const std::int64_t heads = metadata.integer("attn.num_heads", 1, most_heads);
  return specs(required_shape(have, "q_proj.weight", 2)[1], heads);
}

Created create(const Metadata& parameters) {
  refuse_unknown(parameters,
                 std::array<std::string_view, 3>{"embedding_size", "num_heads", "attn.scale"});
  Created created;
  const std::int64_t heads = parameters.integer("num_heads", 1, most_heads);
  created.metadata.set("attn.num_heads", std::to_string(heads));
  take_scale(parameters, created.metadata);
  created.weights = specs(size_parameter(parameters, "embedding_size"), heads);
  return created;
}

void build(runtime::Graph& graph, const Metadata& metadata, std::span<const WeightSpec> specs,
           bool batched) {
  using namespace runtime;
  const std::int64_t d = specs[0].shape[0];
  Shape shape;
  if (batched) shape = shape.with(graph.symbol("batch"));
  shape = shape.with(graph.symbol("n")).with(d);
  const ValueId x = graph.input("x", DType::f32, shape);
  const ValueId q = linear(graph, x, declare(graph, specs, "q_proj.weight"));
  const ValueId k = linear(graph, x, declare(graph, specs, "k_proj.weight"));
  const ValueId v = linear(graph, x, declare(graph, specs, "v_proj.weight"));
  AttentionAttributes attributes;
  attributes.heads = attributes.kv_heads =
      static_cast<int>(metadata.integer("attn.num_heads", 1, most_heads));
  attributes.scale = metadata.scale().value_or(1 / std::sqrt(static_cast<double>(d)));
  const AttentionValues attended = attention(graph, q, k, v, attributes);
  graph.output("attention_weights", attended.weights);
  graph.output("output", linear(graph, attended.output, declare(graph, specs, "out_proj.weight"),
                                declare(graph, specs, "out_proj.bias")));
}

}  // namespace

const Architecture multi_head_attention{.name = "multi_head_attention",
                                        .weights = weights,
                                        .create = create,
                                        .build = build,
                                        .batches = true};

}  // namespace attn::models
