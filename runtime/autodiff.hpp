#pragma once

#include "runtime/graph.hpp"

#include <functional>
#include <span>
#include <vector>

namespace attn::runtime {

struct GradientOptions {
  /// Values x₀, x₁, … in the order in which they are computed. What lies between two of them is
  /// computed again on the way back instead of being kept (activation checkpointing, Chen et al.
  /// 2016): those of one stretch at a time. Fewer than two: everything is kept.
  std::span<const ValueId> checkpoints;
  /// Called for a value of `wrt` that no node computes as soon as its gradient is complete and no
  /// later node reads the value itself: an update that is added to the graph here runs before the
  /// gradients that are still to come, and the memory of this one is free after it. Not called for
  /// a value that the loss does not depend on.
  std::function<void(std::size_t index, ValueId gradient)> on_complete;
};

/// Reverse-mode differentiation: adds the nodes that compute ∂loss/∂v for every v of `wrt` and
/// returns those values, in order (none where the loss does not depend on v). loss is a scalar [].
/// Gradients from several uses of a value are summed in the order of the uses, so the result is
/// deterministic. Throws Error(invalid) if a path to a wanted value passes an op that has no
/// gradient, or checkpoints are not in order.
std::vector<ValueId> gradients(Graph& graph, ValueId loss, std::span<const ValueId> wrt,
                               const GradientOptions& options = {});

}  // namespace attn::runtime
