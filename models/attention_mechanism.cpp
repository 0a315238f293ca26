// Attention as a weighting of inputs by a learned score: the scores of x [n, input_dim] are the row
// sums of x · weight, their softmax weighs the inputs.

#include "models/architectures.hpp"
#include "runtime/ops.hpp"

#include <array>

namespace attn::models {
namespace {

std::vector<WeightSpec> specs(std::int64_t input_dim, std::int64_t units) {
  return {{"weight", {input_dim, units}, Initial::uniform, input_dim}};
}

std::vector<WeightSpec> weights(const Metadata& /*metadata*/, const Shapes& have) {
  const Dims& shape = required_shape(have, "weight", 2);
  return specs(shape[0], shape[1]);
}

Created create(const Metadata& parameters) {
  refuse_unknown(parameters, std::array<std::string_view, 2>{"input_dim", "attention_units"});
  return {Metadata{}, specs(size_parameter(parameters, "input_dim"),
                            size_parameter(parameters, "attention_units"))};
}

void build(runtime::Graph& graph, const Metadata& /*metadata*/, std::span<const WeightSpec> specs,
           bool /*batched*/) {
  using namespace runtime;
  const Symbol n = graph.symbol("n");
  const std::int64_t input_dim = specs[0].shape[0];
  const ValueId x = graph.input("x", DType::f32, Shape{n, input_dim});
  const ValueId projected = matmul(graph, x, declare(graph, specs, "weight"));
  const ValueId scores = reduce(graph, kernels::Reduce::sum, projected);
  const ValueId weights = softmax(graph, scores);
  const ValueId context = matmul(graph, reshape(graph, weights, Shape{1, n}), x);
  graph.output("attention_weights", weights);
  graph.output("context_vector", reshape(graph, context, Shape{input_dim}));
}

}  // namespace

const Architecture attention_mechanism{
    .name = "attention_mechanism", .weights = weights, .create = create, .build = build};

}  // namespace attn::models
