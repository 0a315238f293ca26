#include "attn/error.hpp"
#include "tools/draw/plot.hpp"
#include "tools/draw/scenes.hpp"
#include "tools/draw/text.hpp"
#include "tools/draw/ticks.hpp"

#include <algorithm>
#include <cmath>

namespace attn::tools {
namespace {

constexpr Rgb loss_colour{0x1B, 0x1F, 0x24}, other_line{0xA3, 0xA9, 0xB1},
    other_label{0x6B, 0x73, 0x7C};

// Points.
constexpr double loss_height = 170, weights_height = 340, between = 84;
constexpr double label_size = 11.5, label_step = 14.5, label_x = 26;  // right of the plot
constexpr double cap_height = 0.73;

/// How an emphasised line looks: colours of different lightness and different dashes, so that two
/// of them can be told apart without colour too.
struct Style {
  Rgb colour;
  std::vector<double> dashes;
};
const Style& style(std::size_t i) {
  static const std::vector<Style> styles = {
      {{0x1F, 0x4E, 0x9C}, {}},     {{0xD1, 0x51, 0x2D}, {9, 3}},
      {{0x0B, 0x7A, 0x5B}, {3, 3}}, {{0x7A, 0x2A, 0x8C}, {10, 3, 2, 3}},
      {{0xB8, 0x7A, 0x00}, {}},     {{0x1A, 0x8F, 0xB0}, {9, 3}},
      {{0xA6, 0x1B, 0x48}, {3, 3}}, {{0x5B, 0x5F, 0x1A}, {10, 3, 2, 3}}};
  return styles[i % styles.size()];
}

/// Moves labels as little as needed so that each stands `step` below the one before it, all within
/// low..high. `ys` ascends.
void spread(std::vector<double>& ys, double step, double low, double high) {
  // Neighbours that would touch form a block around the mean of their wishes; blocks that meet
  // merge.
  struct Block {
    double centre;
    int size;
  };
  std::vector<Block> blocks;
  const auto held = [&](Block b) {
    const double half = (b.size - 1) * step / 2;
    b.centre = std::max(low + half, std::min(high - half, b.centre));
    return b;
  };
  for (const double y : ys) {
    blocks.push_back(held({y, 1}));
    while (blocks.size() > 1) {
      const Block b = blocks.back(), a = blocks[blocks.size() - 2];
      if (b.centre - a.centre >= (a.size + b.size) * step / 2) break;
      blocks.resize(blocks.size() - 2);
      blocks.push_back(
          held({(a.centre * a.size + b.centre * b.size) / (a.size + b.size), a.size + b.size}));
    }
  }
  std::size_t i = 0;
  for (const Block& b : blocks) {
    for (int k = 0; k < b.size; ++k) ys[i++] = b.centre + (k - (b.size - 1) / 2.0) * step;
  }
}

class Drawing {
 public:
  explicit Drawing(const TrainingPlot& plot) : plot_(plot) {
    std::size_t longest = plot.losses.size();
    for (const auto& series : plot.series) longest = std::max(longest, series.values.size());
    last_epoch_ = static_cast<int>(longest) - 1;
  }

  Scene finish() && {
    double y = loss(scene_.title(plot_.title, "training") + 26);
    double right = 40;
    if (!plot_.series.empty()) y = weights(y + between, right);
    return std::move(scene_).finish(plot_left + plot_width + right, y + plot_bottom);
  }

 private:
  double loss(double y) {
    Panel panel{y, loss_height, last_epoch_, scale_around({&plot_.losses}, std::nan(""), 5)};
    scene_.axes(panel, "loss", "epoch");
    scene_.line(panel, plot_.losses, 0, {loss_colour, 1.8});
    return y + loss_height;
  }

  double weights(double y, double& right) {
    std::vector<const std::vector<double>*> lines;
    int emphasised = 0;
    for (const auto& series : plot_.series) {
      lines.push_back(&series.values);
      emphasised += series.emphasised ? 1 : 0;
    }
    // every emphasised line has its label, so many of them make the panel taller
    Panel panel{y, std::max(weights_height, emphasised * label_step), last_epoch_,
                scale_around(lines, 0, 6)};
    scene_.axes(panel, "attention weight", "epoch");
    for (const auto& series : plot_.series) {
      if (!series.emphasised) scene_.line(panel, series.values, 0, {other_line, 1});
    }
    std::size_t number = 0;
    for (const auto& series : plot_.series) {
      if (!series.emphasised) continue;
      scene_.line(panel, series.values, 0, {style(number).colour, 2.4, style(number).dashes});
      ++number;
    }
    right = std::max(right, end_labels(panel));
    return y + panel.height;
  }

  /// Names at the right end of the lines; returns the room they take right of the plot.
  double end_labels(const Panel& panel) {
    struct Label {
      const TrainingPlot::Series* series;
      double x, y;  // where the line ends
      Rgb line, colour;
    };
    std::vector<Label> labels;
    const bool all_fit =
        static_cast<double>(plot_.series.size()) * label_step <= panel.height + label_step;
    std::size_t number = 0;
    for (const auto& series : plot_.series) {
      const Rgb own = style(series.emphasised ? number++ : 0).colour;
      if (series.values.empty() || !std::isfinite(series.values.back())) continue;
      if (!series.emphasised && !all_fit) continue;
      labels.push_back({&series, panel.x_of(static_cast<double>(series.values.size()) - 1),
                        panel.y_of(series.values.back()), series.emphasised ? own : other_line,
                        series.emphasised ? own : other_label});
    }
    std::stable_sort(labels.begin(), labels.end(),
                     [](const Label& a, const Label& b) { return a.y < b.y; });
    std::vector<double> ys(labels.size());
    std::transform(labels.begin(), labels.end(), ys.begin(), [](const Label& l) { return l.y; });
    spread(ys, label_step, panel.y, panel.y + panel.height);

    double widest = 0;
    for (std::size_t i = 0; i < labels.size(); ++i) {
      const Label& label = labels[i];
      const double x = plot_left + plot_width;
      scene_.segment(std::max(label.x, x) + 4, label.y, x + label_x - 4, ys[i], label.line, 0.8);
      const std::string value = "  " + number_text(label.series->values.back(), 3);
      const bool bold = label.series->emphasised;
      const std::string name =
          fitted_text(visible(label.series->label), label_size, 120, bold) + value;
      scene_.text({x + label_x, ys[i] + label_size * cap_height / 2, name, label_size, label.colour,
                   Anchor::start, 0, bold});
      widest = std::max(widest, text_width(name, label_size, bold));
    }
    return label_x + widest + 24;
  }

  const TrainingPlot& plot_;
  int last_epoch_ = 0;
  PlotScene scene_;
};

}  // namespace

Scene training_scene(const TrainingPlot& plot) {
  if (plot.losses.empty()) throw Error(ErrorKind::usage, "a training plot needs at least one loss");
  return Drawing(plot).finish();
}

}  // namespace attn::tools
