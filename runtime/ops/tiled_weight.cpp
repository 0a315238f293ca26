#include "runtime/ops/tiled_weight.hpp"

#include "kernels/tiles/tiles.hpp"
#include "runtime/stored.hpp"

namespace attn::runtime {
namespace {

// What stands for tiles among the orders that weights are packed in.
constexpr char tiles_kind = 0;

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

// Weights stand still for the life of a session.
void TiledWeight::ensure(kernels::Workers& workers) const {
  if (pack_ == nullptr) return;
  pack_->ensure([&](std::byte* to) {
    const kernels::index_t band = kernels::tile_band_bytes(stored_.type, k_);
    kernels::parallel_for(workers, kernels::ceil_div(n_, kernels::tile_rows),
                          [&](kernels::index_t i, int) {
                            kernels::write_tiles(stored_.type, n_, k_, data_, i, to + i * band);
                          });
  });
}

}  // namespace attn::runtime
