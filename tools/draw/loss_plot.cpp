#include "tools/draw/loss_plot.hpp"

#include "attn/error.hpp"
#include "tools/draw/files.hpp"
#include "tools/draw/plot.hpp"

#include <algorithm>
#include <cmath>

namespace attn::tools {
namespace {

constexpr Rgb every_colour{0xA9, 0xBC, 0xDB}, mean_colour{0x1F, 0x4E, 0x9C},
    held_out_colour{0xD1, 0x51, 0x2D};
constexpr double height = 340, legend_size = 11.5, sample = 22, marker = 6;

// Fewer updates than this are read as they are; a mean is taken over a thirtieth of them, which
// leaves the course of the curve and little of its noise.
constexpr std::size_t few = 60, share = 30;

/// The mean of each value and those before it, `window` in all; values that are no numbers left
/// out.
std::vector<double> running_mean(const std::vector<double>& values, std::size_t window) {
  std::vector<double> means;
  double sum = 0;
  int count = 0;
  const auto take = [&](double value, int sign) {
    if (!std::isfinite(value)) return;
    sum += sign * value;
    count += sign;
  };
  for (std::size_t i = 0; i < values.size(); ++i) {
    take(values[i], 1);
    if (i >= window) take(values[i - window], -1);
    means.push_back(count > 0 ? sum / count : std::nan(""));
  }
  return means;
}

/// The loss on held-out examples: a line with a square at every evaluation.
void held_out(PlotScene& scene, const Panel& panel, const LossPlot& plot) {
  Polyline line{{}, {}, held_out_colour, 2};
  for (const LossPlot::Point& point : plot.held_out) {
    if (!std::isfinite(point.loss)) continue;
    line.xs.push_back(panel.x_of(point.step));
    line.ys.push_back(panel.y_of(point.loss));
  }
  for (std::size_t i = 1; i < line.xs.size(); ++i) {
    scene.segment(line.xs[i - 1], line.ys[i - 1], line.xs[i], line.ys[i], line.stroke, line.width);
  }
  for (std::size_t i = 0; i < line.xs.size(); ++i) {
    scene.rect({line.xs[i] - marker / 2, line.ys[i] - marker / 2, marker, marker, held_out_colour});
  }
}

struct Entry {
  std::string text;
  Stroke stroke;
  bool marked = false;
};

/// Right of the axis' name, the last entry ending where the plot does.
void legend(PlotScene& scene, const std::vector<Entry>& entries, double y) {
  constexpr double gap = 22;
  double x = plot_left + plot_width;
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    x -= text_width(entry->text, legend_size);
    scene.text({x, y, entry->text, legend_size, plot_ink, Anchor::start});
    x -= sample + 6;
    const double middle = y - 4;
    scene.segment(x, middle, x + sample, middle, entry->stroke.colour, entry->stroke.width);
    if (entry->marked) {
      scene.rect(
          {x + (sample - marker) / 2, middle - marker / 2, marker, marker, entry->stroke.colour});
    }
    x -= gap;
  }
}

}  // namespace

Scene loss_scene(const LossPlot& plot) {
  if (plot.losses.empty()) throw Error(ErrorKind::usage, "a plot of losses needs at least one");
  PlotScene scene;
  std::vector<double> held;
  int last = static_cast<int>(plot.losses.size());
  for (const LossPlot::Point& point : plot.held_out) {
    held.push_back(point.loss);
    last = std::max(last, point.step);
  }
  const double y = scene.title(plot.title, "loss") + 26;
  const Panel panel{y, height, last, scale_around({&plot.losses, &held}, std::nan(""), 7)};
  scene.axes(panel, "loss", "update");

  std::vector<Entry> entries;
  const std::size_t window = plot.losses.size() / share;
  if (plot.losses.size() < few) {
    entries.push_back({"every update", {mean_colour, 2.2}});
    scene.line(panel, plot.losses, 1, entries.back().stroke);
  } else {
    entries.push_back({"every update", {every_colour, 1.1}});
    scene.line(panel, plot.losses, 1, entries.back().stroke);
    entries.push_back({"mean of " + std::to_string(window), {mean_colour, 2.4}});
    scene.line(panel, running_mean(plot.losses, window), 1, entries.back().stroke);
  }
  if (!plot.held_out.empty()) {
    entries.push_back({"held-out examples", {held_out_colour, 2}, true});
    held_out(scene, panel, plot);
  }
  legend(scene, entries, y - 14);
  constexpr double right = 40;
  return std::move(scene).finish(plot_left + plot_width + right, y + height + plot_bottom);
}

void write_loss_plot(const std::string& path, const LossPlot& plot) {
  const std::string ext = extension(path);
  if (ext == ".png") return write_file(path, png(loss_scene(plot)));
  if (ext == ".svg") return write_file(path, svg(loss_scene(plot)));
  throw Error(ErrorKind::usage, path + ": a plot of losses is a .png or .svg file");
}

}  // namespace attn::tools
