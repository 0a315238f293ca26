#pragma once

#include "kernels/isa.hpp"
#include "runtime/op.hpp"

#include <span>
#include <vector>

namespace attn::runtime {

/// A node as a session runs it: the graph's own, or one that stands for several of its nodes.
struct PlannedNode {
  NodeId id{};  ///< in the graph, or of the first that it stands for
  Node node;
};

/// The nodes that the fetched values need, in the graph's order.
[[nodiscard]] std::vector<PlannedNode> needed_nodes(const Graph& graph,
                                                    std::span<const ValueId> fetches);

/// The same work in fewer nodes, at a level where products with tiles can be taken together:
/// products of one x with constant weights become one node `projections`, and with them the RMS
/// norm before them, silu(gate) · up, and the addition of a residual, where nobody else looks at
/// what lies between. Values keep their ids. `written`: weights that are not constant, whatever the
/// nodes say.
[[nodiscard]] std::vector<PlannedNode> fuse_projections(const Graph& graph,
                                                        std::vector<PlannedNode> nodes,
                                                        std::span<const ValueId> fetches,
                                                        kernels::Isa isa, Precision precision,
                                                        std::span<const ValueId> written = {});

}  // namespace attn::runtime
