#include "models/lora/adapted.hpp"

#include "runtime/ops.hpp"

namespace attn::models {

using namespace runtime;

std::string lora_a(std::string_view module, int adapter) {
  return std::string(module) + ".lora_A." + std::to_string(adapter);
}

std::string lora_b(std::string_view module, int adapter) {
  return std::string(module) + ".lora_B." + std::to_string(adapter);
}

int next_adapter(std::span<const WeightSpec> specs, std::string_view module) {
  int place = 0;
  while (find_spec(specs, lora_a(module, place)) != nullptr) ++place;
  return place;
}

bool has_adapter(std::span<const WeightSpec> specs, std::string_view module) {
  return find_spec(specs, lora_a(module, 0)) != nullptr;
}

namespace {

// What A sees of x while training, if the graph is for that.
ValueId thinned(Graph& graph, const LoraFactor& lora, ValueId x) {
  if (lora.dropout == 0) return x;
  const ValueId counter = graph.find(Role::input, dropout_input);
  if (counter == ValueId::none) return x;
  return dropout(graph, x, counter, {.rate = lora.dropout, .seed = lora.seed});
}

}  // namespace

ValueId adapted(Graph& graph, std::span<const WeightSpec> specs, std::string_view module, ValueId x,
                ValueId y) {
  for (int adapter = 0;; ++adapter) {
    const std::string name = lora_a(module, adapter);
    const WeightSpec* const spec = find_spec(specs, name);
    if (spec == nullptr) return y;
    const LoraFactor& lora = *spec->lora;
    const ValueId inner = linear(graph, thinned(graph, lora, x), declare(graph, specs, name));
    const ValueId outer = matmul(graph, inner, declare(graph, specs, lora_b(module, adapter)),
                                 {.transpose_b = true, .alpha = lora.scale});
    y = add(graph, y, outer);
  }
}

}  // namespace attn::models
