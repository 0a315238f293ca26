#include "runtime/fuse.hpp"

#include "kernels/matmul/projections.hpp"
#include "kernels/tiles/tiles.hpp"
#include "runtime/ops.hpp"
#include "runtime/ops/defs.hpp"
#include "runtime/ops/projections.hpp"
#include "runtime/ops/tiled_weight.hpp"
#include "runtime/stored.hpp"

#include <algorithm>
#include <limits>

namespace attn::runtime {
namespace {

constexpr std::size_t nowhere = std::numeric_limits<std::size_t>::max();

class Fuser {
 public:
  Fuser(const Graph& graph, std::vector<PlannedNode> nodes, std::span<const ValueId> fetches,
        kernels::Isa isa, Precision precision, std::span<const ValueId> written)
      : graph_(graph),
        nodes_(std::move(nodes)),
        isa_(isa),
        precision_(precision),
        gone_(nodes_.size()),
        uses_(graph.values().size()),
        producer_(graph.values().size(), nowhere),
        written_(graph.values().size()) {
    for (const ValueId id : fetches) ++uses_[slot(id)];
    for (const ValueId id : written) written_[slot(graph.value(id).storage)] = true;
    for (std::size_t n = 0; n < nodes_.size(); ++n) {
      const Node& node = nodes_[n].node;
      for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        if (node.inputs[i] == ValueId::none) continue;
        ++uses_[slot(node.inputs[i])];
        if (i < 32 && (node.op->writes >> i & 1U) != 0) {
          written_[slot(graph.value(node.inputs[i]).storage)] = true;
        }
      }
      for (const ValueId id : node.outputs) producer_[slot(id)] = n;
    }
  }

  std::vector<PlannedNode> run() {
    for (std::size_t n = 0; n < nodes_.size(); ++n) {
      if (!gone_[n] && is_projection(n)) fuse_from(n);
    }
    std::vector<PlannedNode> left;
    for (std::size_t n = 0; n < nodes_.size(); ++n) {
      if (!gone_[n]) left.push_back(std::move(nodes_[n]));
    }
    return left;
  }

 private:
  [[nodiscard]] const Node& node(std::size_t n) const { return nodes_[n].node; }
  [[nodiscard]] bool is(std::size_t n, const OpDef& op) const {
    return n != nowhere && node(n).op == &op;
  }

  // x Wᵀ with a constant weight that is read as tiles.
  [[nodiscard]] bool is_projection(std::size_t n) const {
    if (!is(n, matmul_op)) return false;
    const auto& attributes = *std::any_cast<MatmulAttributes>(&node(n).attributes);
    const Value &x = graph_.value(node(n).inputs[0]), &w = graph_.value(node(n).inputs[1]);
    return attributes.transpose_b && !attributes.transpose_a && !attributes.flatten &&
           x.dtype == DType::f32 && w.role == Role::weight && w.shape.rank() == 2 &&
           !written_[slot(w.storage)] && multiplied_in_tiles(isa_, precision_, w.dtype);
  }

  [[nodiscard]] bool of_floats(std::size_t n) const {
    return kernels::holds_floats(*weight_type(graph_.value(node(n).inputs[1]).dtype));
  }

  // The only node that uses a value, if it is of that op.
  [[nodiscard]] std::size_t only_user(ValueId id, const OpDef& op) const {
    if (uses_[slot(id)] != 1) return nowhere;
    for (std::size_t n = producer_[slot(id)]; n < nodes_.size(); ++n) {
      const auto& inputs = node(n).inputs;
      if (!gone_[n] && std::find(inputs.begin(), inputs.end(), id) != inputs.end()) {
        return node(n).op == &op ? n : nowhere;
      }
    }
    return nowhere;
  }

  [[nodiscard]] bool there_before(ValueId id, std::size_t place) const {
    return id == ValueId::none || producer_[slot(id)] == nowhere || producer_[slot(id)] < place;
  }

  void fuse_from(std::size_t first) {
    const ValueId x = node(first).inputs[0];
    std::vector<std::size_t> members;
    // until all that use x are found, which is soon: a session begins with this
    for (std::size_t n = first; n < nodes_.size() && members.size() < uses_[slot(x)]; ++n) {
      if (gone_[n] || !is_projection(n) || node(n).inputs[0] != x) continue;
      if (of_floats(n) != of_floats(first)) continue;          // they may go different ways
      if (node(n).way_back != node(first).way_back) continue;  // it would be kept until then
      const auto& inputs = node(n).inputs;
      if (inputs.size() < 3 || there_before(inputs[2], first)) members.push_back(n);
    }
    ProjectionsAttributes attributes;
    Node fused;
    fused.op = &projections_op;
    fused.inputs = {x, ValueId::none};
    const std::size_t norm = producer_[slot(x)];
    const bool normed = is(norm, rms_norm_op) && uses_[slot(x)] == members.size() &&
                        uses_[slot(node(norm).outputs[1])] == 0;
    if (normed) {
      fused.inputs = node(norm).inputs;
      attributes.norm_eps = *std::any_cast<double>(&node(norm).attributes);
    }
    const std::size_t gate = gate_of(members);
    bool adds = false;
    for (const std::size_t n : members) {
      const Node& product = node(n);
      const auto& plain = *std::any_cast<MatmulAttributes>(&product.attributes);
      attributes.each.push_back({plain.alpha, plain.activation});
      fused.inputs.push_back(product.inputs[1]);
      fused.inputs.push_back(product.inputs.size() > 2 ? product.inputs[2] : ValueId::none);
      const std::size_t sum = gate == nowhere ? residual_of(n, first) : nowhere;
      if (sum == nowhere) {
        fused.inputs.push_back(ValueId::none);
        if (gate == nowhere) fused.outputs.push_back(product.outputs[0]);
        continue;
      }
      const auto& terms = node(sum).inputs;
      fused.inputs.push_back(terms[0] == product.outputs[0] ? terms[1] : terms[0]);
      fused.outputs.push_back(node(sum).outputs[0]);
      gone_[sum] = adds = true;
    }
    if (members.size() == 1 && !normed && !adds) return;  // nothing to gain
    if (gate != nowhere) {
      attributes.gated = gone_[gate] = true;
      fused.outputs = {node(gate).outputs[0]};
    }
    if (normed) gone_[norm] = true;
    for (const std::size_t n : members) gone_[n] = n != first;
    fused.attributes = std::move(attributes);
    for (const ValueId id : fused.outputs) producer_[slot(id)] = first;
    nodes_[first].node = std::move(fused);
  }

  // The node silu(gate) · up that two members alone feed; they are put in that order.
  std::size_t gate_of(std::vector<std::size_t>& members) const {
    if (members.size() != 2) return nowhere;
    for (const std::size_t n : members) {
      if (std::any_cast<MatmulAttributes>(&node(n).attributes)->activation) return nowhere;
    }
    const std::size_t gate = only_user(node(members[0]).outputs[0], gated_silu_op);
    if (gate == nowhere || gate != only_user(node(members[1]).outputs[0], gated_silu_op)) {
      return nowhere;
    }
    if (node(gate).inputs[0] != node(members[0]).outputs[0]) std::swap(members[0], members[1]);
    return gate;
  }

  // The addition, to a product of one node, of a value of its shape that is there before `place`.
  [[nodiscard]] std::size_t residual_of(std::size_t product, std::size_t place) const {
    const ValueId out = node(product).outputs[0];
    const std::size_t sum = only_user(out, binary_op);
    if (sum == nowhere ||
        *std::any_cast<kernels::Binary>(&node(sum).attributes) != kernels::Binary::add) {
      return nowhere;
    }
    const auto& terms = node(sum).inputs;
    const ValueId other = terms[0] == out ? terms[1] : terms[0];
    const bool fits = graph_.value(other).shape == graph_.value(out).shape;
    return fits && there_before(other, place) ? sum : nowhere;
  }

  const Graph& graph_;
  std::vector<PlannedNode> nodes_;
  kernels::Isa isa_;
  Precision precision_;
  std::vector<bool> gone_;
  std::vector<std::size_t> uses_, producer_;  // by value: how often it is read, by which node made
  std::vector<bool> written_;
};

}  // namespace

std::vector<PlannedNode> needed_nodes(const Graph& graph, std::span<const ValueId> fetches) {
  std::vector<bool> used(graph.values().size()), needed(graph.nodes().size());
  const auto use = [&](ValueId id) {
    if (id != ValueId::none) used[slot(id)] = used[slot(graph.value(id).storage)] = true;
  };
  for (const ValueId id : fetches) use(id);
  for (std::size_t n = needed.size(); n-- > 0;) {
    const Node& node = graph.nodes()[n];
    needed[n] = std::any_of(node.outputs.begin(), node.outputs.end(),
                            [&](ValueId id) { return used[slot(id)]; });
    if (needed[n]) std::for_each(node.inputs.begin(), node.inputs.end(), use);
  }
  std::vector<PlannedNode> nodes;
  for (std::size_t n = 0; n < needed.size(); ++n) {
    if (needed[n]) nodes.push_back({static_cast<NodeId>(n), graph.nodes()[n]});
  }
  return nodes;
}

std::vector<PlannedNode> fuse_projections(const Graph& graph, std::vector<PlannedNode> nodes,
                                          std::span<const ValueId> fetches, kernels::Isa isa,
                                          Precision precision, std::span<const ValueId> written) {
  if (!kernels::projects(isa, std::numeric_limits<kernels::index_t>::max())) return nodes;
  return Fuser(graph, std::move(nodes), fetches, isa, precision, written).run();
}

}  // namespace attn::runtime
