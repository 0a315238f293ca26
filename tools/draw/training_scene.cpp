#include "attn/error.hpp"
#include "tools/draw/scenes.hpp"
#include "tools/draw/text.hpp"
#include "tools/draw/ticks.hpp"

#include <algorithm>
#include <cmath>

namespace attn::tools {
namespace {

constexpr Rgb ink{0x1B, 0x1F, 0x24}, quiet{0x57, 0x60, 0x6A}, grid{0xE4, 0xE7, 0xEA};
constexpr Rgb loss_colour{0x1B, 0x1F, 0x24}, other_line{0xA3, 0xA9, 0xB1},
    other_label{0x6B, 0x73, 0x7C};

// Points.
constexpr double left = 84, plot_width = 660, top_margin = 24;
constexpr double loss_height = 170, weights_height = 340, between = 84, bottom_margin = 62;
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

struct Panel {
  double y = 0, height = 0;
  int last_epoch = 0;
  Ticks scale;

  [[nodiscard]] double x_of(double epoch) const {
    return left + plot_width * epoch / std::max(1, last_epoch);
  }
  [[nodiscard]] double y_of(double value) const {
    return y + height * (1 - (value - scale.first) / (scale.last() - scale.first));
  }
};

/// Ticks around every finite value; `floor` is part of the axis where it is a number.
Ticks scale_of(const std::vector<const std::vector<double>*>& lines, double floor, int wanted) {
  double low = floor, high = floor;
  for (const auto* line : lines) {
    for (const double value : *line) {
      if (!std::isfinite(value)) continue;
      low = std::fmin(low, value);  // fmin and fmax pass over a NaN floor
      high = std::fmax(high, value);
    }
  }
  if (!std::isfinite(low) || !std::isfinite(high)) low = 0, high = 1;
  return enclosing_ticks(low, high, wanted);
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
    const std::string title = visible(plot_.title);
    scene_.title = title.empty() ? "training" : title;
    double y = top_margin;
    if (!title.empty()) {
      text({left - 60, y + 14, fitted_text(title, 17, plot_width, true), 17, ink, Anchor::start, 0,
            true});
      y += 34;
    }
    y = loss(y + 26);
    double right = 40;
    if (!plot_.series.empty()) y = weights(y + between, right);
    scene_.width = std::ceil(left + plot_width + right);
    scene_.height = std::ceil(y + bottom_margin);
    return std::move(scene_);
  }

 private:
  void text(Text item) {
    if (!item.text.empty()) scene_.items.push_back(std::move(item));
  }

  double loss(double y) {
    Panel panel{y, loss_height, last_epoch_, scale_of({&plot_.losses}, std::nan(""), 5)};
    axes(panel, "loss");
    line(panel, plot_.losses, loss_colour, 1.8, {});
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
                scale_of(lines, 0, 6)};
    axes(panel, "attention weight");
    for (const auto& series : plot_.series) {
      if (!series.emphasised) line(panel, series.values, other_line, 1, {});
    }
    std::size_t number = 0;
    for (const auto& series : plot_.series) {
      if (!series.emphasised) continue;
      line(panel, series.values, style(number).colour, 2.4, style(number).dashes);
      ++number;
    }
    right = std::max(right, end_labels(panel));
    return y + panel.height;
  }

  void axes(const Panel& panel, const char* name) {
    const double bottom = panel.y + panel.height;
    text({left - 60, panel.y - 14, name, 12, ink, Anchor::start, 0, true});
    for (int i = 0; i < panel.scale.count; ++i) {
      const double y = panel.y_of(panel.scale.at(i));
      segment(left, y, left + plot_width, y, grid, 1);
      text({left - 8, y + 10.5 * cap_height / 2, panel.scale.text(i), 10.5, quiet, Anchor::end});
    }
    segment(left, bottom, left + plot_width, bottom, quiet, 1);
    const Ticks epochs = counting_ticks(last_epoch_, 11);
    for (int i = 0; i < epochs.count; ++i) {
      const double x = panel.x_of(epochs.at(i));
      segment(x, bottom, x, bottom + 4, quiet, 1);
      text({x, bottom + 17, epochs.text(i), 10.5, quiet, Anchor::middle});
    }
    text({left + plot_width / 2, bottom + 36, "epoch", 12, quiet, Anchor::middle});
  }

  void segment(double x0, double y0, double x1, double y1, Rgb colour, double width) {
    scene_.items.push_back(Polyline{{x0, x1}, {y0, y1}, colour, width});
  }

  /// The values as one polyline for each stretch without gaps. Where there are far more epochs than
  /// pixels, a stretch of them is drawn by its lowest and highest value.
  void line(const Panel& panel, const std::vector<double>& values, Rgb colour, double width,
            const std::vector<double>& dashes) {
    const std::size_t stretch = std::max<std::size_t>(1, values.size() / 1500);
    Polyline current{{}, {}, colour, width, dashes};
    const auto flush = [&] {
      if (current.xs.size() == 1) {  // a value between gaps, or the only one: a short dash
        current.xs = {current.xs[0] - 3, current.xs[0] + 3};
        current.ys.push_back(current.ys[0]);
      }
      if (!current.xs.empty()) scene_.items.push_back(current);
      current.xs.clear();
      current.ys.clear();
    };
    const auto add = [&](std::size_t i) {
      current.xs.push_back(panel.x_of(static_cast<double>(i)));
      current.ys.push_back(panel.y_of(values[i]));
    };
    for (std::size_t from = 0; from < values.size(); from += stretch) {
      const auto begin = values.begin() + static_cast<std::ptrdiff_t>(from);
      const auto end =
          values.begin() + static_cast<std::ptrdiff_t>(std::min(values.size(), from + stretch));
      if (!std::all_of(begin, end, [](double v) { return std::isfinite(v); })) {
        flush();
        continue;
      }
      const auto [low, high] = std::minmax_element(begin, end);
      const auto first = static_cast<std::size_t>(std::min(low, high) - values.begin());
      const auto second = static_cast<std::size_t>(std::max(low, high) - values.begin());
      add(first);
      if (second != first) add(second);
    }
    flush();
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
      const double x = left + plot_width;
      segment(std::max(label.x, x) + 4, label.y, x + label_x - 4, ys[i], label.line, 0.8);
      const std::string value = "  " + number_text(label.series->values.back(), 3);
      const bool bold = label.series->emphasised;
      const std::string name =
          fitted_text(visible(label.series->label), label_size, 120, bold) + value;
      text({x + label_x, ys[i] + label_size * cap_height / 2, name, label_size, label.colour,
            Anchor::start, 0, bold});
      widest = std::max(widest, text_width(name, label_size, bold));
    }
    return label_x + widest + 24;
  }

  const TrainingPlot& plot_;
  int last_epoch_ = 0;
  Scene scene_;
};

}  // namespace

Scene training_scene(const TrainingPlot& plot) {
  if (plot.losses.empty()) throw Error(ErrorKind::usage, "a training plot needs at least one loss");
  return Drawing(plot).finish();
}

}  // namespace attn::tools
