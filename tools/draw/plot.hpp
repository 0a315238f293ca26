#pragma once

#include "tools/draw/scene.hpp"
#include "tools/draw/ticks.hpp"

#include <string>
#include <vector>

namespace attn::tools {

// What plots over the steps of a training have in common.

inline constexpr Rgb plot_ink{0x1B, 0x1F, 0x24}, plot_quiet{0x57, 0x60, 0x6A},
    plot_grid{0xE4, 0xE7, 0xEA};

// Points.
inline constexpr double plot_left = 84, plot_width = 660, plot_top = 24, plot_bottom = 62;

/// The area between the axes of one plot: steps 0..last to the right, values upwards.
struct Panel {
  double y = 0, height = 0;
  int last = 0;
  Ticks scale;

  [[nodiscard]] double x_of(double step) const;
  [[nodiscard]] double y_of(double value) const;
};

/// Ticks around every finite value; `floor` is part of the axis where it is a number.
[[nodiscard]] Ticks scale_around(const std::vector<const std::vector<double>*>& lines, double floor,
                                 int wanted);

/// How a line looks.
struct Stroke {
  Rgb colour;
  double width = 1;
  std::vector<double> dashes = {};
};

/// A scene that plots are drawn into.
class PlotScene {
 public:
  void text(Text item);
  void segment(double x0, double y0, double x1, double y1, Rgb colour, double width);
  void rect(Rect item) { scene_.items.emplace_back(std::move(item)); }

  /// The title, if there is one, `fallback` for screen readers otherwise; returns where what comes
  /// below it begins.
  double title(const std::string& title, const std::string& fallback);

  /// Grid, axes and numbers; `name` stands above, `steps` below.
  void axes(const Panel& panel, const char* name, const char* steps);

  /// The values of steps first, first + 1, … as one polyline for each stretch without gaps. Where
  /// there are far more than pixels, a stretch of them is drawn by its lowest and highest value.
  void line(const Panel& panel, const std::vector<double>& values, int first, const Stroke& stroke);

  [[nodiscard]] Scene finish(double width, double height) &&;

 private:
  Scene scene_;
};

}  // namespace attn::tools
