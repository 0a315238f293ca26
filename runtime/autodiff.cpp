#include "runtime/autodiff.hpp"

#include "attn/error.hpp"
#include "runtime/op.hpp"
#include "runtime/ops.hpp"

#include <algorithm>
#include <string>

namespace attn::runtime {
namespace {

class Backward final : public GradientContext {
 public:
  Backward(Graph& g, Node n, std::vector<ValueId>& gradient, const std::vector<bool>& leads)
      : GradientContext(g, std::move(n)), gradient_(gradient), leads_(leads) {}

  [[nodiscard]] ValueId arrived(std::size_t i) const override {
    return gradient_[slot(node.outputs[i])];
  }
  [[nodiscard]] bool wanted(std::size_t i) const override {
    return node.inputs[i] != ValueId::none && leads_[slot(node.inputs[i])];
  }
  void give(std::size_t i, ValueId value) override {
    if (!wanted(i)) return;
    ValueId& sum = gradient_[slot(node.inputs[i])];
    sum = sum == ValueId::none ? value : add(graph, sum, value);
  }

 private:
  std::vector<ValueId>& gradient_;
  const std::vector<bool>& leads_;
};

}  // namespace

std::vector<ValueId> gradients(Graph& graph, ValueId loss, std::span<const ValueId> wrt) {
  if (graph.value(loss).shape.rank() != 0) {
    throw Error(ErrorKind::invalid,
                "gradients: the loss is " + graph.shape_text(loss) + ", not []");
  }
  const std::size_t forward_values = graph.values().size();
  const std::size_t forward_nodes = graph.nodes().size();

  // leads[v]: v is wanted, or is computed from something wanted
  std::vector<bool> leads(forward_values);
  for (const ValueId id : wrt) {
    (void)graph.value(id);
    leads[slot(id)] = true;
  }
  for (const Node& node : graph.nodes()) {
    const bool any = std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId id) {
      return id != ValueId::none && leads[slot(id)];
    });
    for (const ValueId id : node.outputs) {
      if (any) leads[slot(id)] = true;
    }
  }

  std::vector<ValueId> gradient(forward_values, ValueId::none);
  gradient[slot(loss)] = graph.constant(graph.value(loss).dtype, Shape{}, {1.0});
  for (std::size_t n = forward_nodes; n-- > 0;) {
    const Node node = graph.nodes()[n];
    const bool reached = std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId id) {
      return gradient[slot(id)] != ValueId::none && leads[slot(id)];
    });
    if (!reached) continue;
    if (node.op->gradient == nullptr) {
      throw Error(ErrorKind::invalid,
                  "gradients: op '" + std::string(node.op->name) + "' has no gradient");
    }
    Backward context(graph, node, gradient, leads);
    node.op->gradient(context);
  }

  std::vector<ValueId> wanted;
  for (const ValueId id : wrt) {
    const ValueId found = gradient[slot(id)];
    const bool strided = found != ValueId::none && !graph.value(found).contiguous;
    wanted.push_back(strided ? copy(graph, found) : found);
  }
  return wanted;
}

}  // namespace attn::runtime
