#include "runtime/ops/tiled_weight.hpp"

#include "kernels/tiles/tiles.hpp"
#include "runtime/stored.hpp"

#include <algorithm>

namespace attn::runtime {
namespace {

// What stands for tiles among the orders that weights are packed in.
constexpr char tiles_kind = 0;
// And for rows out of tiles.
constexpr char rows_kind = 0;

// Bytes of rows after which they may leave memory: far more than a call to the system costs.
constexpr kernels::index_t slice = kernels::index_t{2} << 20;

}  // namespace

bool multiplied_in_tiles(kernels::Isa isa, Precision precision, DType dtype) noexcept {
  const auto type = weight_type(dtype);
  return type && isa != kernels::Isa::scalar && precision != Precision::f32 &&
         kernels::tileable(*type, precision == Precision::bf16);
}

void TiledWeight::prepare(Packs& packs, const TensorView& w, WeightLayout layout) {
  n_ = w.dim(-2);
  k_ = w.dim(-1);
  data_ = w.data;
  stored_ = {nullptr, *weight_type(w.dtype), nullptr};
  if (layout == WeightLayout::tiles) {
    pack_ = nullptr;
    stored_.tiles = data_;
    return;
  }
  const auto bytes = static_cast<std::size_t>(kernels::tiled_bytes(stored_.type, n_, k_));
  pack_ = &packs.find(data_, &tiles_kind, bytes);
  stored_.tiles = pack_->data();
}

// Weights stand still for the life of a session. A large one is not in memory twice while it is
// written.
void TiledWeight::ensure(kernels::Workers& workers) const {
  if (pack_ == nullptr) return;
  pack_->ensure([&](std::byte* to) {
    using kernels::index_t, kernels::tile_rows;
    const index_t band = kernels::tile_band_bytes(stored_.type, k_);
    const index_t rows_of_band = tile_rows * kernels::row_bytes(stored_.type, k_);
    const index_t bands = kernels::ceil_div(n_, tile_rows);
    const index_t some = std::max<index_t>(1, slice / std::max<index_t>(1, rows_of_band));
    for (index_t from = 0; from < bands; from += some) {
      const index_t count = std::min(some, bands - from);
      kernels::parallel_for(workers, count, [&](index_t i, int) {
        const index_t at = from + i;
        kernels::write_tiles(stored_.type, n_, k_, data_, at, to + at * band);
      });
      if (from + count == bands) return;  // the pack lets go of all of it
      pack_->release(static_cast<std::size_t>(from * rows_of_band),
                     static_cast<std::size_t>((from + count) * rows_of_band));
    }
  });
}

void RowsOfWeight::prepare(Packs& packs, const TensorView& w, WeightLayout layout) {
  n_ = w.dim(-2);
  k_ = w.dim(-1);
  data_ = rows_ = w.data;
  type_ = *weight_type(w.dtype);
  pack_ = nullptr;
  if (layout == WeightLayout::rows) return;
  pack_ =
      &packs.find(data_, &rows_kind, static_cast<std::size_t>(kernels::row_bytes(type_, n_ * k_)));
  rows_ = pack_->data();
}

void RowsOfWeight::ensure(kernels::Workers& workers) const {
  if (pack_ == nullptr) return;
  pack_->ensure([&](std::byte* to) {
    using kernels::index_t, kernels::tile_rows;
    const index_t row = kernels::row_bytes(type_, k_);
    kernels::parallel_for(workers, kernels::ceil_div(n_, tile_rows), [&](index_t band, int) {
      for (index_t r = band * tile_rows; r < std::min(n_, (band + 1) * tile_rows); ++r) {
        kernels::read_tiles(type_, k_, data_, r, to + r * row);
      }
    });
  });
}

}  // namespace attn::runtime
