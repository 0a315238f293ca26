#pragma once

#include "tools/draw/draw.hpp"

#include <string>
#include <vector>

namespace attn::tools {

/// A checked picture, ready to be laid out: labels made visible, sizes as int.
struct Maps {
  std::string title;
  std::string row_axis = "query", column_axis = "key";
  std::vector<std::string> rows, columns;
  std::vector<AttentionPicture::Map> maps;
  int pooled_rows = 1, pooled_columns = 1;  ///< original rows and columns that one cell stands for

  [[nodiscard]] int row_count() const { return static_cast<int>(rows.size()); }
  [[nodiscard]] int column_count() const { return static_cast<int>(columns.size()); }
  [[nodiscard]] int map_count() const { return static_cast<int>(maps.size()); }
  [[nodiscard]] float at(int map, int row, int column) const {
    return maps[static_cast<std::size_t>(map)]
        .weights[static_cast<std::size_t>(row) * columns.size() + static_cast<std::size_t>(column)];
  }
  /// The largest finite weight; 0 where there is none.
  [[nodiscard]] double largest() const;
  [[nodiscard]] bool has_gaps() const;  ///< a weight that is no number
};

/// Throws Error(usage) as write_heatmap documents.
void check_picture(const AttentionPicture& picture);

/// The checked picture. Several maps of one query each become one map with a row a head.
Maps maps_of(const AttentionPicture& picture);

/// Reduced to at most the given rows and columns; a cell is the largest of the weights it stands
/// for, since an average would wash out the few that matter.
Maps pooled(const Maps& maps, int most_rows, int most_columns);

bool any_label(const std::vector<std::string>& labels);

}  // namespace attn::tools
