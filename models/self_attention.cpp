// Scaled dot-product attention of a sequence over itself (Vaswani et al. 2017), with projections
// or, to teach with, without any.

#include "attn/error.hpp"
#include "models/architectures.hpp"
#include "runtime/ops.hpp"

#include <array>

namespace attn::models {
namespace {

std::vector<WeightSpec> specs(std::int64_t d) {
  return {square_projection("q_proj.weight", d), square_projection("k_proj.weight", d),
          square_projection("v_proj.weight", d)};
}

std::vector<WeightSpec> weights(const Metadata& metadata, const Shapes& have) {
  (void)metadata.scale();
  if (have.empty()) return {};
  return specs(required_shape(have, "q_proj.weight", 2)[1]);
}

Created create(const Metadata& parameters) {
  refuse_unknown(parameters, std::array<std::string_view, 2>{"embedding_size", "attn.scale"});
  Created created;
  take_scale(parameters, created.metadata);
  const std::int64_t d =
      parameters.has("embedding_size") ? size_parameter(parameters, "embedding_size", 0) : 0;
  if (d > 0) created.weights = specs(d);
  return created;
}

void build(runtime::Graph& graph, const Metadata& metadata, std::span<const WeightSpec> specs,
           bool /*batched*/) {
  using namespace runtime;
  const Symbol n = graph.symbol("n");
  const bool projects = !specs.empty();
  const Dim d = projects ? Dim(specs[0].shape[0]) : Dim(graph.symbol("d"));
  const ValueId x = graph.input("x", DType::f32, Shape{n, d});
  const auto projected = [&](std::string_view name) {
    return projects ? linear(graph, x, declare(graph, specs, name)) : x;
  };
  const ValueId q = projected("q_proj.weight");
  const ValueId k = projected("k_proj.weight");
  const ValueId v = projected("v_proj.weight");
  AttentionAttributes attributes;
  attributes.scale = metadata.scale();
  const AttentionValues attended = attention(graph, q, k, v, attributes);
  // one head: [1, n, n] is [n, n]
  graph.output("attention_weights", reshape(graph, attended.weights, Shape{n, n}));
  graph.output("output", attended.output);
}

}  // namespace

const Architecture self_attention{
    .name = "self_attention", .weights = weights, .create = create, .build = build};

}  // namespace attn::models
