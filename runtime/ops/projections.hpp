#pragma once

#include "kernels/elementwise/elementwise.hpp"

#include <optional>
#include <vector>

namespace attn::runtime {

/// What is done with one of the products of a node `projections`, between its weight and its
/// output.
struct ProjectionAttributes {
  double alpha = 1;
  std::optional<kernels::Unary> activation;
};

/// A node `projections` is made by fuse_projections() alone: products of one x with several weights
/// in tiles. Inputs: x, gamma, then for each product its weight W [n, k], bias and what is added to
/// it (gamma and the latter two may be none). Outputs: one a product, or of a gate and what it
/// gates, silu(first) · second.
struct ProjectionsAttributes {
  std::optional<double> norm_eps;  ///< RMS norm of x comes first
  bool gated = false;
  std::vector<ProjectionAttributes> each;
};

}  // namespace attn::runtime
