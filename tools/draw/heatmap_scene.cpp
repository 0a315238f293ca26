#include "tools/draw/maps.hpp"
#include "tools/draw/scale.hpp"
#include "tools/draw/scenes.hpp"
#include "tools/draw/text.hpp"
#include "tools/draw/ticks.hpp"

#include <algorithm>
#include <cmath>

namespace attn::tools {
namespace {

constexpr Rgb ink{0x1B, 0x1F, 0x24}, quiet{0x57, 0x60, 0x6A}, faint{0xC4, 0xC9, 0xCF};

// Points. What several places must agree on; the rest stands where it is used.
constexpr double margin = 24;
constexpr double label_gap = 6;   // between a plot and its labels
constexpr double axis_size = 12;  // "query", "key", "attention weight"
constexpr double panel_title_size = 13;
constexpr double widest_label = 130;    // longer ones end in "…"
constexpr double smallest_label = 8.5;  // below it, a label is not legible at 100%
constexpr double cap_height = 0.73;     // of DejaVu Sans, in ems: centres text on a line

/// How the labels along one axis are drawn.
struct Labels {
  std::vector<std::string> texts;  ///< empty: positions are numbered at ticks
  double size = 10;
  double degrees = 0;
  double extent = 0;  ///< room needed across the axis
  double slant = 0;   ///< how far slanted labels reach to the left of the plot
};

/// The largest cell that lets `count` of them fit in `room`: whole points, or halves (one pixel of
/// the PNG) where they are small, so that every cell has the same number of pixels.
double cell_for(double room, int count) {
  const double exact = room / count;
  return exact >= 8 ? std::floor(exact) : std::max(0.5, std::floor(exact * 2) / 2);
}

struct Layout {
  double cell_width = 0, cell_height = 0;
  double plot_width = 0, plot_height = 0;  ///< of one panel
  int grid_columns = 1, grid_rows = 1;
  double first_x = 0, first_y = 0;  ///< of the first panel's plot
  double step_x = 0, step_y = 0;    ///< from panel to panel
  Labels rows, columns;
};

Labels row_labels(const Maps& maps, double cell) {
  Labels labels;
  labels.size = std::min(12.0, std::floor(cell * 0.85 * 2) / 2);
  if (!any_label(maps.rows) || labels.size < smallest_label) {
    labels.size = 10;
    if (maps.row_count() == 1) return labels;  // a single query without a name needs no number
    labels.extent = text_width(std::to_string(maps.row_count() * maps.pooled_rows), labels.size);
    return labels;
  }
  for (const std::string& text : maps.rows) {
    labels.texts.push_back(fitted_text(text, labels.size, widest_label));
    labels.extent = std::max(labels.extent, text_width(labels.texts.back(), labels.size));
  }
  return labels;
}

Labels column_labels(const Maps& maps, double cell) {
  Labels labels;
  labels.size = std::min(12.0, std::floor(cell * 0.85 * 2) / 2);
  if (!any_label(maps.columns) || labels.size < smallest_label) {
    labels.size = 10;
    labels.extent = labels.size;
    return labels;
  }
  double widest = 0;
  for (const std::string& text : maps.columns) {
    labels.texts.push_back(fitted_text(text, labels.size, widest_label));
    widest = std::max(widest, text_width(labels.texts.back(), labels.size));
  }
  if (widest <= cell - 6) {
    labels.extent = labels.size;
  } else if (cell >= labels.size * 1.6) {  // slanted lines of text are cell/√2 apart
    labels.degrees = -45;
    labels.extent = (widest + labels.size) * std::sqrt(0.5);
    for (int c = 0; c < maps.column_count(); ++c) {
      const double width = text_width(labels.texts[static_cast<std::size_t>(c)], labels.size);
      labels.slant =
          std::max(labels.slant, (width + labels.size) * std::sqrt(0.5) - (c + 0.5) * cell);
    }
  } else {
    labels.degrees = -90;
    labels.extent = widest;
  }
  return labels;
}

/// How many panels stand side by side: what brings the whole nearest to three by two, few gaps
/// left.
int best_grid_columns(int count, double panel_width, double panel_height) {
  int best = 1;
  double least = 1e30;
  for (int columns = 1; columns <= count; ++columns) {
    const int rows = (count + columns - 1) / columns;
    const double aspect = columns * panel_width / (rows * panel_height);
    const double cost = std::abs(std::log(aspect / 1.5)) + 0.15 * (rows * columns - count);
    if (cost < least) {
      least = cost;
      best = columns;
    }
  }
  return best;
}

Layout lay_out(const Maps& maps, double header) {
  const int rows = maps.row_count(), columns = maps.column_count(),
            longer = std::max(rows, columns);
  const int count = maps.map_count();
  // a strip of few queries may be wider than a square map, and many panels are smaller than one
  const double room = rows <= 3    ? 840
                      : count == 1 ? 640
                      : count == 2 ? 420
                      : count <= 4 ? 340
                                   : 250;
  Layout out;
  out.cell_width = std::min(64.0, cell_for(room, longer));
  const bool labelled = any_label(maps.rows) || any_label(maps.columns);
  if (labelled && longer <= 64) out.cell_width = std::max(out.cell_width, 11.0);
  out.cell_height = std::max(out.cell_width, std::min(40.0, std::floor(120.0 / rows)));
  out.plot_width = out.cell_width * columns;
  out.plot_height = out.cell_height * rows;
  out.rows = row_labels(maps, out.cell_height);
  out.columns = column_labels(maps, out.cell_width);

  const bool titled = std::any_of(maps.maps.begin(), maps.maps.end(),
                                  [](const auto& map) { return !map.title.empty(); });
  const double title_height = titled ? panel_title_size + 9 : 0;
  out.step_x = out.plot_width + 26;
  out.step_y = out.plot_height + title_height + (titled ? 16 : 22);
  out.grid_columns = best_grid_columns(count, out.step_x, out.step_y);
  out.grid_rows = (count + out.grid_columns - 1) / out.grid_columns;
  const double axis_title = maps.row_axis.empty() ? 0 : axis_size + 10;
  const double row_room = out.rows.extent > 0 ? out.rows.extent + label_gap : 0;
  out.first_x = std::ceil(margin + std::max(axis_title + row_room, out.columns.slant));
  out.first_y = std::ceil(header + title_height);
  return out;
}

class Drawing {
 public:
  explicit Drawing(const AttentionPicture& picture) : maps_(maps_of(picture)) {
    // more cells than this a side would make bitmaps that nothing shows at full size
    const int most = maps_.map_count() == 1 ? 2048 : 1024;
    maps_ = pooled(maps_, most, most);
    if (maps_.row_count() == 1 && !any_label(maps_.rows)) maps_.row_axis.clear();
    scale_ = scale_of(maps_);
    layout_ = lay_out(maps_, maps_.title.empty() ? margin : margin + 32);
    scene_.title = maps_.title.empty() ? "attention weights" : maps_.title;
  }

  Scene finish() && {
    const double grid_right =
        layout_.first_x + (layout_.grid_columns - 1) * layout_.step_x + layout_.plot_width;
    const double grid_bottom =
        layout_.first_y + (layout_.grid_rows - 1) * layout_.step_y + layout_.plot_height;
    for (int m = 0; m < maps_.map_count(); ++m) panel(m);
    axis_titles(grid_right, grid_bottom);
    const double labels_bottom = grid_bottom + label_gap + layout_.columns.extent + 10 + axis_size;
    const double tall = grid_bottom - layout_.first_y;
    if (tall < 150) {
      scene_.height = flat_bar(labels_bottom + 20, grid_right) + margin;
      scene_.width = std::max(grid_right, layout_.first_x + flat_bar_width) + margin;
    } else {
      scene_.width = upright_bar(grid_right + 28) + margin;
      scene_.height = labels_bottom + margin - 6;
    }
    if (!maps_.title.empty()) {
      const std::string title = maps_.title;
      scene_.width =
          std::max(scene_.width, std::min(720.0, text_width(title, 17, true) + 2 * margin));
      text(margin, margin + 14, fitted_text(title, 17, scene_.width - 2 * margin, true), 17, ink,
           Anchor::start, 0, true);
    }
    scene_.width = std::ceil(scene_.width);
    scene_.height = std::ceil(scene_.height);
    return std::move(scene_);
  }

 private:
  static constexpr double flat_bar_width = 260;

  void text(double x, double y, const std::string& what, double size, Rgb colour,
            Anchor anchor = Anchor::start, double degrees = 0, bool bold = false) {
    if (!what.empty())
      scene_.items.push_back(Text{x, y, what, size, colour, anchor, degrees, bold});
  }

  void line(double x0, double y0, double x1, double y1, Rgb colour, double width = 1) {
    scene_.items.push_back(Polyline{{x0, x1}, {y0, y1}, colour, width});
  }

  [[nodiscard]] Rgb paint(float weight) const {
    return std::isfinite(weight) ? colormap(scale_.position(weight)) : no_number;
  }

  void panel(int m) {
    const int across = m % layout_.grid_columns, down = m / layout_.grid_columns;
    const double x = layout_.first_x + across * layout_.step_x;
    const double y = layout_.first_y + down * layout_.step_y;
    text(x, y - 8,
         fitted_text(maps_.maps[static_cast<std::size_t>(m)].title, panel_title_size,
                     layout_.plot_width),
         panel_title_size, ink);
    const double cells =
        static_cast<double>(maps_.row_count()) * maps_.column_count() * maps_.map_count();
    // beyond this many, elements of their own make an SVG that viewers are slow with
    if (cells > 20000 || layout_.cell_width < 4) {
      raster(m, x, y);
    } else {
      draw_cells(m, x, y);
    }
    if (across == 0) label_rows(x, y);
    if (m + layout_.grid_columns >= maps_.map_count()) label_columns(x, y + layout_.plot_height);
  }

  void raster(int m, double x, double y) {
    Raster raster{
        x, y, layout_.plot_width, layout_.plot_height, maps_.column_count(), maps_.row_count(), {}};
    for (const float w : maps_.maps[static_cast<std::size_t>(m)].weights)
      raster.pixels.push_back(paint(w));
    scene_.items.push_back(std::move(raster));
    outline(x, y, layout_.plot_width, layout_.plot_height);
  }

  void draw_cells(int m, double x, double y) {
    const double gap = layout_.cell_width >= 14 ? 1 : 0;
    const double w = layout_.cell_width - gap, h = layout_.cell_height - gap;
    const int decimals = maps_.row_count() * maps_.column_count() * maps_.map_count() <= 40 ? 3 : 2;
    const double size = std::min(12.0, layout_.cell_width * 0.3);
    const bool values = size >= smallest_label;
    for (int r = 0; r < maps_.row_count(); ++r) {
      for (int c = 0; c < maps_.column_count(); ++c) {
        const double left = x + c * layout_.cell_width, top = y + r * layout_.cell_height;
        const float weight = maps_.at(m, r, c);
        scene_.items.push_back(Rect{left, top, w, h, paint(weight), tooltip(r, c, weight)});
        if (!std::isfinite(weight)) {
          hatch(left, top, w, h);
        } else if (values) {
          text(left + w / 2, top + h / 2 + size * cap_height / 2, number_text(weight, decimals),
               size, text_on(paint(weight)), Anchor::middle);
        }
      }
    }
    if (gap == 0) outline(x, y, layout_.plot_width, layout_.plot_height);
  }

  [[nodiscard]] std::string tooltip(int row, int column, float weight) const {
    const auto name = [](const std::vector<std::string>& labels, int i) {
      const std::string& label = labels[static_cast<std::size_t>(i)];
      return label.empty() ? std::to_string(i) : label;
    };
    const std::string query = maps_.row_axis.empty() ? "" : name(maps_.rows, row) + " → ";
    return query + name(maps_.columns, column) + ": " +
           (std::isfinite(weight) ? number_text(weight, 4) : "no number");
  }

  void hatch(double x, double y, double w, double h) {
    constexpr Rgb stroke{0x8C, 0x85, 0x7A};
    line(x, y + h / 2, x + w / 2, y, stroke, 0.8);
    line(x, y + h, x + w, y, stroke, 0.8);
    line(x + w / 2, y + h, x + w, y + h / 2, stroke, 0.8);
  }

  void outline(double x, double y, double w, double h) {
    scene_.items.push_back(Polyline{{x, x + w, x + w, x, x}, {y, y, y + h, y + h, y}, faint, 0.8});
  }

  void label_rows(double x, double y) {
    const Labels& labels = layout_.rows;
    const double down = labels.size * cap_height / 2;
    if (!labels.texts.empty()) {
      for (int r = 0; r < maps_.row_count(); ++r) {
        text(x - label_gap, y + (r + 0.5) * layout_.cell_height + down,
             labels.texts[static_cast<std::size_t>(r)], labels.size, ink, Anchor::end);
      }
      return;
    }
    if (maps_.row_count() == 1) return;
    const Ticks ticks = positions(maps_.row_count() * maps_.pooled_rows, layout_.plot_height / 28);
    for (int i = 0; i < ticks.count; ++i) {
      const double at = y + (ticks.at(i) + 0.5) / maps_.pooled_rows * layout_.cell_height;
      line(x - 4, at, x - 1, at, faint);
      text(x - label_gap, at + down, ticks.text(i), labels.size, ink, Anchor::end);
    }
  }

  void label_columns(double x, double y) {
    const Labels& labels = layout_.columns;
    const double below = y + label_gap, ascent = labels.size * cap_height;
    if (labels.texts.empty()) {
      const Ticks ticks =
          positions(maps_.column_count() * maps_.pooled_columns, layout_.plot_width / 40);
      for (int i = 0; i < ticks.count; ++i) {
        const double at = x + (ticks.at(i) + 0.5) / maps_.pooled_columns * layout_.cell_width;
        line(at, y + 1, at, y + 4, faint);
        text(at, below + ascent + 2, ticks.text(i), labels.size, ink, Anchor::middle);
      }
      return;
    }
    for (int c = 0; c < maps_.column_count(); ++c) {
      const double at = x + (c + 0.5) * layout_.cell_width;
      const std::string& label = labels.texts[static_cast<std::size_t>(c)];
      if (labels.degrees == 0) {
        text(at, below + ascent, label, labels.size, ink, Anchor::middle);
      } else if (labels.degrees == -90) {
        text(at + ascent / 2, below, label, labels.size, ink, Anchor::end, -90);
      } else {  // the end of the slanted text points at the middle of its cell
        const double shift = ascent / 2 * std::sqrt(0.5);
        text(at + shift, below + ascent * std::sqrt(0.5), label, labels.size, ink, Anchor::end,
             -45);
      }
    }
  }

  static Ticks positions(int count, double most) {
    return counting_ticks(count - 1, std::max(2, static_cast<int>(most)));
  }

  void axis_titles(double grid_right, double grid_bottom) {
    const double middle_y = (layout_.first_y + grid_bottom) / 2;
    const double x =
        layout_.first_x - (layout_.rows.extent > 0 ? layout_.rows.extent + label_gap : 0) - 10;
    text(x, middle_y, maps_.row_axis, axis_size, quiet, Anchor::middle, -90);
    text((layout_.first_x + grid_right) / 2,
         grid_bottom + label_gap + layout_.columns.extent + 8 + axis_size, maps_.column_axis,
         axis_size, quiet, Anchor::middle);
  }

  [[nodiscard]] static Raster ramp(double x, double y, double w, double h) {
    constexpr int steps = 200;
    const bool upright = h > w;
    Raster raster{x, y, w, h, upright ? 1 : steps, upright ? steps : 1, {}};
    for (int i = 0; i < steps; ++i) {
      raster.pixels.push_back(colormap((upright ? steps - 1 - i : i) / (steps - 1.0)));
    }
    return raster;
  }

  /// Returns its right edge, titles and all.
  double upright_bar(double x) {
    // beside as many panels as make a bar of good length, so that it ends where a panel does
    int panels = 1;
    while (panels < layout_.grid_rows && panels * layout_.step_y + layout_.plot_height <= 560)
      ++panels;
    const double y = layout_.first_y, width = 14;
    const double height = (panels - 1) * layout_.step_y + layout_.plot_height;
    scene_.items.push_back(ramp(x, y, width, height));
    outline(x, y, width, height);
    double widest = 0;
    for (const auto& tick : scale_.ticks(height)) {
      const double at = y + height * (1 - tick.position);
      line(x + width, at, x + width + 4, at, quiet, 0.8);
      text(x + width + 7, at + 10 * cap_height / 2, tick.text, 10, ink);
      widest = std::max(widest, text_width(tick.text, 10));
    }
    const double title_x = x + width + 7 + widest + 8 + axis_size;
    text(title_x, y + height / 2, bar_title(), axis_size, quiet, Anchor::middle, -90);
    return std::max(title_x + 4, gap_key(x, y + height + 22));
  }

  /// Returns its bottom edge.
  double flat_bar(double y, double grid_right) {
    const double width = flat_bar_width, height = 12;
    const double x =
        std::round(std::max(layout_.first_x, (layout_.first_x + grid_right - width) / 2));
    text(x + width / 2, y + axis_size - 2, bar_title(), axis_size, quiet, Anchor::middle);
    const double top = std::round(y + axis_size + 6);
    scene_.items.push_back(ramp(x, top, width, height));
    outline(x, top, width, height);
    for (const auto& tick : scale_.ticks(width)) {
      const double at = x + width * tick.position;
      line(at, top + height, at, top + height + 4, quiet, 0.8);
      text(at, top + height + 6 + 10 * cap_height + 1, tick.text, 10, ink, Anchor::middle);
    }
    const double bottom = top + height + 18;
    if (!maps_.has_gaps()) return bottom;
    gap_key(x, bottom + 8);
    return bottom + 22;
  }

  /// What a hatched cell means, where there is one; returns its right edge.
  double gap_key(double x, double y) {
    if (!maps_.has_gaps()) return 0;
    scene_.items.push_back(Rect{x, y, 14, 14, no_number, ""});
    hatch(x, y, 14, 14);
    text(x + 20, y + 7 + 10 * cap_height / 2, "no number", 10, ink);
    return x + 20 + text_width("no number", 10);
  }

  [[nodiscard]] std::string bar_title() const {
    if (maps_.pooled_rows * maps_.pooled_columns == 1) return "attention weight";
    return "largest attention weight of " + std::to_string(maps_.pooled_rows) + " × " +
           std::to_string(maps_.pooled_columns);
  }

  Maps maps_;
  ColourScale scale_;
  Layout layout_;
  Scene scene_;
};

}  // namespace

Scene heatmap_scene(const AttentionPicture& picture) { return Drawing(picture).finish(); }

}  // namespace attn::tools
