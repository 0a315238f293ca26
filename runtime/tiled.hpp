#pragma once

#include "runtime/dtype.hpp"
#include "runtime/graph.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace attn::runtime {

/// Bytes of a weight of this type and shape in tiles; nothing where it cannot stand in them: of a
/// type that is computed with (tiles would round F32), not of two dimensions, its rows no whole
/// number of blocks, or more bytes than can be counted. The numbers may come from a file.
[[nodiscard]] std::optional<std::uint64_t> tiled_size(DType dtype,
                                                      std::span<const std::int64_t> shape) noexcept;

/// W [n, k] in tiles, from its rows, and its rows, from the tiles: each the other's exact inverse.
/// Where tiled_size() has a value; the bytes given are as many as type and shape say.
[[nodiscard]] std::vector<std::byte> to_tiles(DType dtype, std::span<const std::int64_t> shape,
                                              std::span<const std::byte> rows);
[[nodiscard]] std::vector<std::byte> to_rows(DType dtype, std::span<const std::int64_t> shape,
                                             std::span<const std::byte> tiles);

/// Are the columns that W lacks weights of 0 in these tiles, as products take for granted? (Block
/// formats have whole blocks, and rows that W lacks are never read.)
[[nodiscard]] bool pads_with_zeros(DType dtype, std::span<const std::int64_t> shape,
                                   std::span<const std::byte> tiles) noexcept;

/// The names of the weights W [n, k] that the graph multiplies with, as x Wᵀ: those that are worth
/// tiles. Products and gather, which read them in tiles as well, are all that reads stored weights.
[[nodiscard]] std::set<std::string, std::less<>> multiplied_weights(const Graph& graph);

}  // namespace attn::runtime
