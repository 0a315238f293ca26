#include "tools/draw/plot.hpp"

#include "tools/draw/text.hpp"

#include <algorithm>
#include <cmath>

namespace attn::tools {
namespace {

constexpr double cap_height = 0.73;  // of the embedded font

}  // namespace

double Panel::x_of(double step) const { return plot_left + plot_width * step / std::max(1, last); }

double Panel::y_of(double value) const {
  return y + height * (1 - (value - scale.first) / (scale.last() - scale.first));
}

Ticks scale_around(const std::vector<const std::vector<double>*>& lines, double floor, int wanted) {
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

void PlotScene::text(Text item) {
  if (!item.text.empty()) scene_.items.emplace_back(std::move(item));
}

void PlotScene::segment(double x0, double y0, double x1, double y1, Rgb colour, double width) {
  scene_.items.emplace_back(Polyline{{x0, x1}, {y0, y1}, colour, width});
}

double PlotScene::title(const std::string& title, const std::string& fallback) {
  const std::string shown = visible(title);
  scene_.title = shown.empty() ? fallback : shown;
  if (shown.empty()) return plot_top;
  constexpr double size = 17;
  text({plot_left - 60, plot_top + 14, fitted_text(shown, size, plot_width, true), size, plot_ink,
        Anchor::start, 0, true});
  return plot_top + 34;
}

void PlotScene::axes(const Panel& panel, const char* name, const char* steps) {
  const double bottom = panel.y + panel.height;
  text({plot_left - 60, panel.y - 14, name, 12, plot_ink, Anchor::start, 0, true});
  for (int i = 0; i < panel.scale.count; ++i) {
    const double y = panel.y_of(panel.scale.at(i));
    segment(plot_left, y, plot_left + plot_width, y, plot_grid, 1);
    text({plot_left - 8, y + 10.5 * cap_height / 2, panel.scale.text(i), 10.5, plot_quiet,
          Anchor::end});
  }
  segment(plot_left, bottom, plot_left + plot_width, bottom, plot_quiet, 1);
  const Ticks numbers = counting_ticks(panel.last, 11);
  for (int i = 0; i < numbers.count; ++i) {
    const double x = panel.x_of(numbers.at(i));
    segment(x, bottom, x, bottom + 4, plot_quiet, 1);
    text({x, bottom + 17, numbers.text(i), 10.5, plot_quiet, Anchor::middle});
  }
  text({plot_left + plot_width / 2, bottom + 36, steps, 12, plot_quiet, Anchor::middle});
}

void PlotScene::line(const Panel& panel, const std::vector<double>& values, int first,
                     const Stroke& stroke) {
  const std::size_t stretch = std::max<std::size_t>(1, values.size() / 1500);
  Polyline current{{}, {}, stroke.colour, stroke.width, stroke.dashes};
  const auto flush = [&] {
    if (current.xs.size() == 1) {  // a value between gaps, or the only one: a short dash
      current.xs = {current.xs[0] - 3, current.xs[0] + 3};
      current.ys.push_back(current.ys[0]);
    }
    if (!current.xs.empty()) scene_.items.emplace_back(current);
    current.xs.clear();
    current.ys.clear();
  };
  const auto add = [&](std::size_t i) {
    current.xs.push_back(panel.x_of(first + static_cast<double>(i)));
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
    const auto earlier = static_cast<std::size_t>(std::min(low, high) - values.begin());
    const auto later = static_cast<std::size_t>(std::max(low, high) - values.begin());
    add(earlier);
    if (later != earlier) add(later);
  }
  flush();
}

Scene PlotScene::finish(double width, double height) && {
  scene_.width = std::ceil(width);
  scene_.height = std::ceil(height);
  return std::move(scene_);
}

}  // namespace attn::tools
