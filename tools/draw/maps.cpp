#include "tools/draw/maps.hpp"

#include "attn/error.hpp"
#include "tools/draw/text.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace attn::tools {
namespace {

std::vector<std::string> visible_labels(const std::vector<std::string>& labels) {
  std::vector<std::string> out;
  out.reserve(labels.size());
  for (const std::string& label : labels) out.push_back(visible(label));
  return out;
}

}  // namespace

double Maps::largest() const {
  float most = 0;
  for (const auto& map : maps) {
    for (const float w : map.weights) {
      if (std::isfinite(w)) most = std::max(most, w);
    }
  }
  return most;
}

bool Maps::has_gaps() const {
  return std::any_of(maps.begin(), maps.end(), [](const auto& map) {
    return std::any_of(map.weights.begin(), map.weights.end(),
                       [](float w) { return !std::isfinite(w); });
  });
}

void check_picture(const AttentionPicture& picture) {
  if (picture.maps.empty() || picture.rows.empty() || picture.columns.empty()) {
    throw Error(ErrorKind::usage, "a picture of attention needs at least one map, row and column");
  }
  for (const auto& map : picture.maps) {
    if (map.weights.size() != picture.rows.size() * picture.columns.size()) {
      throw Error(ErrorKind::usage, "attention map '" + visible(map.title) + "' has " +
                                        std::to_string(map.weights.size()) + " weights, not " +
                                        std::to_string(picture.rows.size()) + " × " +
                                        std::to_string(picture.columns.size()));
    }
  }
}

Maps maps_of(const AttentionPicture& picture) {
  check_picture(picture);
  Maps out;
  out.title = visible(picture.title);
  out.columns = visible_labels(picture.columns);
  if (picture.rows.size() == 1 && picture.maps.size() > 1) {
    out.row_axis = "head";
    out.maps.resize(1);
    for (const auto& map : picture.maps) {
      out.rows.push_back(visible(map.title));
      out.maps[0].weights.insert(out.maps[0].weights.end(), map.weights.begin(), map.weights.end());
    }
    return out;
  }
  out.rows = visible_labels(picture.rows);
  for (const auto& map : picture.maps) out.maps.push_back({visible(map.title), map.weights});
  return out;
}

Maps pooled(const Maps& maps, int most_rows, int most_columns) {
  const auto per_cell = [](int count, int most) { return (count + most - 1) / most; };
  const int tall = per_cell(maps.row_count(), most_rows);
  const int wide = per_cell(maps.column_count(), most_columns);
  if (tall == 1 && wide == 1) return maps;
  Maps out = maps;
  out.pooled_rows *= tall;
  out.pooled_columns *= wide;
  // a cell of several tokens has no label of its own
  if (tall > 1) out.rows.assign(static_cast<std::size_t>(per_cell(maps.row_count(), tall)), "");
  if (wide > 1) {
    out.columns.assign(static_cast<std::size_t>(per_cell(maps.column_count(), wide)), "");
  }
  for (int m = 0; m < maps.map_count(); ++m) {
    auto& cells = out.maps[static_cast<std::size_t>(m)].weights;
    cells.assign(out.rows.size() * out.columns.size(), std::numeric_limits<float>::quiet_NaN());
    for (int r = 0; r < maps.row_count(); ++r) {
      for (int c = 0; c < maps.column_count(); ++c) {
        float& cell = cells[static_cast<std::size_t>(r / tall) * out.columns.size() +
                            static_cast<std::size_t>(c / wide)];
        const float weight = maps.at(m, r, c);
        if (std::isfinite(weight) && !(cell >= weight)) cell = weight;
      }
    }
  }
  return out;
}

bool any_label(const std::vector<std::string>& labels) {
  return std::any_of(labels.begin(), labels.end(),
                     [](const auto& label) { return !label.empty(); });
}

}  // namespace attn::tools
