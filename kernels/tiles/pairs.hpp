#pragma once

#include "kernels/tiles/tiles.hpp"

#include <algorithm>

// How products of bfloat16 in pairs (PairsProduct, kernels/tiles/tiles_levels.hpp) stand in memory
// and are shared out. Always inlined: the objects of several ISA levels may share no symbol.

namespace attn::kernels {

inline constexpr index_t cache_line = 64;
[[gnu::always_inline]] constexpr index_t whole_lines(index_t bytes) {
  return round_up(bytes, cache_line);
}

/// Columns of a panel of B: pairs [depth / 2, 32, 2], depth being k rounded up to 32. Zeros stand
/// where B has nothing.
inline constexpr index_t pairs_columns = 32;

/// Rows of A that are rounded together: their pairs are a square to transpose.
inline constexpr index_t rounded_rows = 16;

/// Numbers between rows of A: an odd number of cache lines, so that rows at the same column spread
/// over all of a cache's sets.
[[gnu::always_inline]] constexpr index_t pairs_row(index_t depth) {
  return depth + (depth / tile_columns % 2 == 0 ? tile_columns : 0);
}

/// What A [m, k] and a panel of B take.
struct PairsRoom {
  index_t depth, a_row;  ///< numbers of a padded row, and between the rows of A
  index_t a_bytes, panel_bytes;

  [[gnu::always_inline]] constexpr PairsRoom(index_t m, index_t k)
      : depth(round_up(k, tile_columns)),
        a_row(pairs_row(depth)),
        // amx reads whole tiles of rows
        a_bytes(whole_lines(round_up(m, tile_rows) * a_row * 2)),
        panel_bytes(whole_lines(pairs_columns * depth * 2)) {}
};

/// How C, m rows in so many panels, is cut into chunks of work: `rows` rows of one panel each, of
/// which the last of `cuts` may have fewer, or none.
struct PairsCut {
  /// Rows that pass over a panel before the next: their halves of A stay in L2.
  static constexpr index_t row_block = 512;
  /// Where panels are fewer than this, which threads could not share evenly, rows are cut as well,
  /// to not less than what making a panel costs a few percent of.
  static constexpr index_t fewest_chunks = 12, fewest_rows = 128;
  index_t cuts, rows;

  [[gnu::always_inline]] constexpr PairsCut(index_t m, index_t panels)
      : cuts(std::max(ceil_div(m, row_block),
                      std::min(ceil_div(fewest_chunks, std::max<index_t>(1, panels)),
                               ceil_div(m, fewest_rows)))),
        rows(round_up(ceil_div(m, cuts), tile_rows)) {}  // amx begins at whole tiles
};

}  // namespace attn::kernels
