#include "runtime/autodiff.hpp"

#include "attn/error.hpp"
#include "runtime/op.hpp"
#include "runtime/ops.hpp"

#include <algorithm>
#include <string>

namespace attn::runtime {
namespace {

constexpr std::size_t nowhere = static_cast<std::size_t>(-1);

// One node on the way back. `original` is the forward node, whose ids gradients are kept by; what
// the op's gradient sees are the values to read, which may have been computed again.
class Backward final : public GradientContext {
 public:
  Backward(Graph& g, Node seen, const Node& original, std::vector<ValueId>& gradient,
           const std::vector<bool>& leads)
      : GradientContext(g, std::move(seen)),
        original_(original),
        gradient_(gradient),
        leads_(leads) {}

  [[nodiscard]] ValueId arrived(std::size_t i) const override {
    return gradient_[slot(original_.outputs[i])];
  }
  [[nodiscard]] bool wanted(std::size_t i) const override {
    return original_.inputs[i] != ValueId::none && leads_[slot(original_.inputs[i])];
  }
  void give(std::size_t i, ValueId value) override {
    if (!wanted(i)) return;
    ValueId& sum = gradient_[slot(original_.inputs[i])];
    sum = sum == ValueId::none ? value : add(graph, sum, value);
  }

 private:
  const Node& original_;
  std::vector<ValueId>& gradient_;
  const std::vector<bool>& leads_;
};

// The stretches between checkpoints, and the values of the present one as computed again.
class Stretches {
 public:
  Stretches(Graph& graph, std::span<const ValueId> checkpoints)
      : graph_(graph), seen_(graph.values().size()) {
    for (std::size_t v = 0; v < seen_.size(); ++v) seen_[v] = static_cast<ValueId>(v);
    for (const ValueId id : checkpoints) {
      const NodeId producer = graph.value(id).producer;
      const std::size_t end = producer == NodeId::none ? 0 : slot(producer) + 1;
      if (!ends_.empty() && end <= ends_.back()) {
        throw Error(ErrorKind::invalid, "gradients: checkpoint " + graph.shape_text(id) +
                                            " is not computed after the one before");
      }
      ends_.push_back(end);
      kept_.push_back(id);
    }
  }

  // Makes the values of the node's stretch readable, by adding their nodes once more where that has
  // not been done.
  void enter(std::size_t node) {
    if (node < begin_ || node >= end_) compute_again(node);
  }

  [[nodiscard]] Node seen(Node node) const {
    for (ValueId& id : node.inputs) {
      if (id != ValueId::none) id = seen_[slot(id)];
    }
    for (ValueId& id : node.outputs) id = seen_[slot(id)];
    return node;
  }

 private:
  void compute_again(std::size_t node) {
    const auto after = std::upper_bound(ends_.begin(), ends_.end(), node);
    if (after == ends_.begin() || after == ends_.end()) return;  // outside: everything is kept
    begin_ = *(after - 1);
    end_ = *after;
    for (std::size_t n = begin_; n < end_; ++n) {
      const Node original = graph_.nodes()[n];
      Node again = seen(original);
      const NodeId added = graph_.add(*again.op, std::move(again.inputs), again.attributes);
      const std::vector<ValueId> outputs = graph_.node(added).outputs;
      for (std::size_t o = 0; o < outputs.size(); ++o) {
        const ValueId id = original.outputs[o];
        const bool kept = std::find(kept_.begin(), kept_.end(), id) != kept_.end();
        if (!kept) seen_[slot(id)] = outputs[o];
      }
    }
  }

  Graph& graph_;
  std::vector<std::size_t> ends_;  // by checkpoint: the node after the one that computes it
  std::vector<ValueId> kept_;
  std::vector<ValueId> seen_;  // by forward value
  std::size_t begin_ = 0, end_ = 0;
};

}  // namespace

std::vector<ValueId> gradients(Graph& graph, ValueId loss, std::span<const ValueId> wrt,
                               const GradientOptions& options) {
  if (graph.value(loss).shape.rank() != 0) {
    throw Error(ErrorKind::invalid,
                "gradients: the loss is " + graph.shape_text(loss) + ", not []");
  }
  const std::size_t forward_values = graph.values().size();
  const std::size_t forward_nodes = graph.nodes().size();

  // leads[v]: v is wanted, or is computed from something wanted
  std::vector<bool> leads(forward_values);
  std::vector<std::size_t> first_user(forward_values, nowhere);
  for (const ValueId id : wrt) {
    (void)graph.value(id);
    leads[slot(id)] = true;
  }
  for (std::size_t n = 0; n < forward_nodes; ++n) {
    const Node& node = graph.nodes()[n];
    bool any = false;
    for (const ValueId id : node.inputs) {
      if (id == ValueId::none) continue;
      any = any || leads[slot(id)];
      first_user[slot(id)] = std::min(first_user[slot(id)], n);
    }
    for (const ValueId id : node.outputs) {
      if (any) leads[slot(id)] = true;
    }
  }

  graph.begin_way_back();
  std::vector<ValueId> gradient(forward_values, ValueId::none);
  const auto contiguous = [&](ValueId id) {
    return id != ValueId::none && !graph.value(id).contiguous ? copy(graph, id) : id;
  };
  const auto complete = [&](std::size_t node) {
    for (std::size_t i = 0; i < wrt.size(); ++i) {
      if (first_user[slot(wrt[i])] != node || graph.value(wrt[i]).producer != NodeId::none)
        continue;
      ValueId& found = gradient[slot(wrt[i])];
      found = contiguous(found);
      if (found != ValueId::none) options.on_complete(i, found);
    }
  };
  Stretches stretches(graph, options.checkpoints);
  gradient[slot(loss)] = graph.constant(graph.value(loss).dtype, Shape{}, {1.0});
  for (std::size_t n = forward_nodes; n-- > 0;) {
    const Node node = graph.nodes()[n];
    const bool reached = std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId id) {
      return gradient[slot(id)] != ValueId::none && leads[slot(id)];
    });
    if (reached) {
      if (node.op->gradient == nullptr) {
        throw Error(ErrorKind::invalid,
                    "gradients: op '" + std::string(node.op->name) + "' has no gradient");
      }
      stretches.enter(n);
      Backward context(graph, stretches.seen(node), node, gradient, leads);
      node.op->gradient(context);
    }
    if (options.on_complete) complete(n);
  }

  std::vector<ValueId> wanted;
  for (const ValueId id : wrt) {
    const ValueId found = contiguous(gradient[slot(id)]);
    gradient[slot(id)] = found;
    wanted.push_back(found);
  }
  return wanted;
}

}  // namespace attn::runtime
