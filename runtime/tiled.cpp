#include "runtime/tiled.hpp"

#include "kernels/tiles/tiles.hpp"
#include "runtime/formats/checked.hpp"
#include "runtime/ops.hpp"
#include "runtime/ops/defs.hpp"
#include "runtime/stored.hpp"

namespace attn::runtime {

std::optional<std::uint64_t> tiled_size(DType dtype, std::span<const std::int64_t> shape) noexcept {
  if (!storage_only(dtype) || shape.size() != 2 || !checked_elements(shape) ||
      shape[1] % dtype_block(dtype) != 0) {
    return std::nullopt;
  }
  // 16 bits a weight are the most: with room for padding, a band then counts its bytes too
  if (!checked_multiply(shape[1], 4 * kernels::tile_rows * kernels::tile_columns)) {
    return std::nullopt;
  }
  const kernels::index_t rest = shape[0] % kernels::tile_rows > 0 ? 1 : 0;
  const kernels::index_t bands = shape[0] / kernels::tile_rows + rest;
  const kernels::index_t band = kernels::tile_band_bytes(*weight_type(dtype), shape[1]);
  return checked_multiply(static_cast<std::uint64_t>(bands), static_cast<std::uint64_t>(band));
}

std::vector<std::byte> to_tiles(DType dtype, std::span<const std::int64_t> shape,
                                std::span<const std::byte> rows) {
  const auto type = *weight_type(dtype);
  const kernels::index_t n = shape[0], k = shape[1], band = kernels::tile_band_bytes(type, k);
  std::vector<std::byte> tiles(static_cast<std::size_t>(kernels::tiled_bytes(type, n, k)));
  for (kernels::index_t i = 0; i < kernels::ceil_div(n, kernels::tile_rows); ++i) {
    kernels::write_tiles(type, n, k, rows.data(), i, tiles.data() + i * band);
  }
  return tiles;
}

std::vector<std::byte> to_rows(DType dtype, std::span<const std::int64_t> shape,
                               std::span<const std::byte> tiles) {
  const auto type = *weight_type(dtype);
  const kernels::index_t n = shape[0], k = shape[1], bytes = kernels::row_bytes(type, k);
  std::vector<std::byte> rows(static_cast<std::size_t>(n * bytes));
  for (kernels::index_t row = 0; row < n; ++row) {
    kernels::read_tiles(type, k, tiles.data(), row, rows.data() + row * bytes);
  }
  return rows;
}

bool pads_with_zeros(DType dtype, std::span<const std::int64_t> shape,
                     std::span<const std::byte> tiles) noexcept {
  using kernels::tile_columns, kernels::tile_rows;
  const kernels::index_t k = shape[1], there = k % tile_columns;
  if (dtype_block(dtype) != 1 || there == 0) return true;
  const auto band = static_cast<std::size_t>(kernels::tile_band_bytes(*weight_type(dtype), k));
  constexpr std::size_t tile = tile_rows * tile_columns * 2;  // 16 bits a number
  for (std::size_t end = band; end <= tiles.size(); end += band) {
    const std::byte* const last = tiles.data() + end - tile;
    for (kernels::index_t column = there; column < tile_columns; ++column) {
      for (kernels::index_t row = 0; row < tile_rows; ++row) {
        const kernels::index_t at = (column / 2 * tile_rows + row) * 2 + column % 2;
        if (last[2 * at] != std::byte{} || last[2 * at + 1] != std::byte{}) return false;
      }
    }
  }
  return true;
}

std::set<std::string, std::less<>> multiplied_weights(const Graph& graph) {
  std::set<std::string, std::less<>> names;
  for (const Node& node : graph.nodes()) {
    if (node.op != &matmul_op) continue;
    const Value& b = graph.value(node.inputs[1]);
    const auto& attributes = *std::any_cast<MatmulAttributes>(&node.attributes);
    if (b.role == Role::weight && b.shape.rank() == 2 && attributes.transpose_b &&
        !attributes.transpose_a && !attributes.flatten) {
      names.insert(b.name);
    }
  }
  return names;
}

}  // namespace attn::runtime
