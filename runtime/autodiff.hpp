#pragma once

#include "runtime/graph.hpp"

#include <span>
#include <vector>

namespace attn::runtime {

/// Reverse-mode differentiation: adds the nodes that compute ∂loss/∂v for every v of `wrt` and
/// returns those values, in order (none where the loss does not depend on v). loss is a scalar [].
/// Gradients from several uses of a value are summed in the order of the uses, so the result is
/// deterministic. Throws Error(invalid) if a path to a wanted value passes an op that has no
/// gradient.
std::vector<ValueId> gradients(Graph& graph, ValueId loss, std::span<const ValueId> wrt);

}  // namespace attn::runtime
