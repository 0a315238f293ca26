#pragma once

#include <string_view>

namespace attn::runtime {

/// How the bytes of a weight stand, in a file or in memory: row after row, or, of stored weights
/// W [n, k], in the tiles that products with it read (kernels/tiles/tiles.hpp). Type and shape are
/// the same either way.
enum class WeightLayout { rows, tiles };

/// The name of WeightLayout::tiles in files.
inline constexpr std::string_view tiles_name = "tiles16x32";

}  // namespace attn::runtime
