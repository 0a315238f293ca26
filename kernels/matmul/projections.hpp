#pragma once

#include "kernels/matmul/matmul.hpp"

#include <span>

namespace attn::kernels {

/// C = act(alpha · A Wᵀ + bias) + add, for weights W [n, k] in tiles. C overlaps A and W nowhere.
struct Projection {
  StoredWeights weights;  ///< tiles
  index_t n = 0;
  float* c = nullptr;  ///< [m, n]
  index_t stride_c = 0;
  float alpha = 1;
  const float* bias = nullptr;  ///< [n] or null
  std::optional<Unary> activation;
  const float* add = nullptr;  ///< [m, n] or null; may be C where m > 8
  index_t stride_add = 0;
};

/// Products of one A [m, k] with the weights of several projections, as one: A is read and rounded
/// once, all of their panels are shared out together, and what follows happens while C is in the
/// cache. Precision is that of tiles, see StoredWeights, and for m ≤ 8 a row's bits depend on that
/// row alone.
struct Projections {
  index_t m = 0, k = 0;
  MatrixView<float> a;
  /// RMS norm of A's rows comes first, with gamma [k] or without and this eps.
  std::optional<float> norm_eps;
  const float* gamma = nullptr;
  /// Either all of these weights hold floats or none does (kernels/tiles/tiles.hpp): they may go
  /// different ways.
  std::span<const Projection> each;
  /// A gate and what it gates, without activation and add, of the same n: the first one's C becomes
  /// silu(C₀) · C₁; the second one's is not touched, and may be null.
  bool gated = false;
  /// projections_scratch_bytes(), 64-byte aligned.
  void* scratch = nullptr;
};

/// Can products of up to m rows be taken together at this level? More than a few rows take bfloat16
/// products.
[[nodiscard]] bool projects(Isa isa, index_t m) noexcept;

/// For up to m rows.
[[nodiscard]] std::size_t projections_scratch_bytes(Isa isa, int workers, index_t m, index_t k,
                                                    bool gated);

void project(Isa isa, Workers& workers, const Projections& p);

}  // namespace attn::kernels
