#pragma once

#include "kernels/matmul/matmul.hpp"
#include "runtime/op.hpp"
#include "runtime/packs.hpp"

namespace attn::runtime {

/// Does a product with a constant weight of this type read it as tiles, rather than as it is
/// stored?
[[nodiscard]] bool multiplied_in_tiles(kernels::Isa isa, Precision precision, DType dtype) noexcept;

/// A weight W [n, k] as tiles: those it stands in, or made of its rows when they are first needed.
class TiledWeight {
 public:
  /// The weight's bytes stand still as long as `packs` lives. Throws Error(memory).
  void prepare(Packs& packs, const TensorView& w, WeightLayout layout);

  /// The tiles are there after ensure().
  [[nodiscard]] const kernels::StoredWeights& stored() const noexcept { return stored_; }
  [[nodiscard]] kernels::index_t rows() const noexcept { return n_; }
  void ensure(kernels::Workers& workers) const;

 private:
  Packs::Pack* pack_ = nullptr;  // null: the weight's own bytes are tiles
  const void* data_ = nullptr;
  kernels::index_t n_ = 0, k_ = 0;
  kernels::StoredWeights stored_;
};

/// A stored weight W [n, k] in rows: those it stands in, or made of its tiles when they are first
/// needed.
class RowsOfWeight {
 public:
  /// As TiledWeight::prepare().
  void prepare(Packs& packs, const TensorView& w, WeightLayout layout);

  /// The rows are there after ensure().
  [[nodiscard]] const void* data() const noexcept { return rows_; }
  void ensure(kernels::Workers& workers) const;

 private:
  Packs::Pack* pack_ = nullptr;  // null: the weight's own bytes are rows
  const void *data_ = nullptr, *rows_ = nullptr;
  kernels::index_t n_ = 0, k_ = 0;
  kernels::WeightType type_ = kernels::WeightType::f32;
};

}  // namespace attn::runtime
