#pragma once

#include "tools/draw/colour.hpp"

#include <string>
#include <variant>
#include <vector>

namespace attn::tools {

// A drawing in points, y downwards, on white; items are painted in order. Layout code makes a
// Scene, and the two writers below turn the same Scene into a file's bytes.

enum class Anchor { start, middle, end };

struct Rect {
  double x = 0, y = 0, width = 0, height = 0;
  Rgb fill;
  std::string tooltip = {};  ///< shown by SVG viewers on hover
};

/// A line or polyline.
struct Polyline {
  std::vector<double> xs, ys;
  Rgb stroke;
  double width = 1;
  std::vector<double> dashes = {};  ///< lengths on, off, on, …; empty: solid
};

struct Text {
  double x = 0, y = 0;  ///< the baseline, at its start, middle or end
  std::string text;     ///< as visible() leaves it
  double size = 12;
  Rgb fill;
  Anchor anchor = Anchor::start;
  double degrees = 0;  ///< clockwise around (x, y)
  bool bold = false;
};

/// A grid of equal cells given as pixels: for maps with too many cells to draw one by one.
struct Raster {
  double x = 0, y = 0, width = 0, height = 0;
  int columns = 0, rows = 0;
  std::vector<Rgb> pixels;  ///< row-major
};

using Item = std::variant<Rect, Polyline, Text, Raster>;

struct Scene {
  double width = 0, height = 0;
  std::string title;  ///< for screen readers
  std::vector<Item> items;
};

std::string svg(const Scene& scene);

/// Two pixels to a point; fewer where the bitmap would grow beyond 16,000 pixels a side.
/// Throws Error(memory) where there is not enough memory for it.
std::string png(const Scene& scene);

/// A raster's pixels as a PNG file, one pixel a cell.
std::string png(const Raster& raster);

/// Advance width in points of text set in the embedded font.
double text_width(const std::string& text, double size, bool bold = false);

/// The text, shortened with "…" until it is no wider than `width`.
std::string fitted_text(const std::string& text, double size, double width, bool bold = false);

}  // namespace attn::tools
