#include "tools/draw/model_sheet.hpp"

#include "tools/draw/maps.hpp"
#include "tools/draw/scale.hpp"
#include "tools/draw/text.hpp"

#include <algorithm>
#include <cmath>

namespace attn::tools {
namespace {

constexpr Rgb ink{0x1B, 0x1F, 0x24}, quiet{0x57, 0x60, 0x6A}, faint{0xC4, 0xC9, 0xCF};

// Points.
constexpr double margin = 24, gap = 8;
constexpr double title_size = 16, head_size = 11, label_size = 10;
constexpr double sheet_width = 1500;  // of all maps side by side, where they are many
constexpr double smallest_map = 44, largest_map = 520;
constexpr double smallest_cell = 9;  // below it, tokens' labels would touch
constexpr int short_text = 32;       // tokens that are labelled however many heads there are
constexpr double widest_label = 120;
constexpr double bar_width = 220, bar_height = 11;

class Sheet {
 public:
  explicit Sheet(const ModelAttention& attention)
      : a_(attention), count_(static_cast<int>(attention.tokens.size())) {
    const auto heads = static_cast<double>(a_.heads.size());
    side_ = std::clamp(sheet_width / heads - gap, smallest_map, largest_map);
    if (count_ <= short_text) side_ = std::max(side_, count_ * smallest_cell);
    if (side_ / count_ >= 1) side_ = std::floor(side_ / count_) * count_;
    labelled_ = side_ / count_ >= smallest_cell;
    for (const std::string& token : a_.tokens) {
      labels_.push_back(fitted_text(visible(token), label_size, widest_label));
      widest_ = std::max(widest_, text_width(labels_.back(), label_size));
    }
    const float largest = *std::max_element(a_.weights.begin(), a_.weights.end());
    Maps one;  // what the scale looks at: the largest weight, and how many keys there are
    one.rows = {""};
    one.columns = a_.tokens;
    one.maps.push_back({"", std::vector<float>(a_.tokens.size())});
    one.maps[0].weights[0] = largest;
    scale_ = scale_of(one);
  }

  Scene draw() {
    const double left =
        margin + text_width("layer 0000", head_size) + gap + (labelled_ ? widest_ + gap : 0);
    double y = margin + title_size;
    text(margin, y, a_.title.empty() ? "Attention weights" : visible(a_.title), title_size, ink,
         true);
    y += 16;
    text(margin, y, "rows are queries, columns are keys; a row's weights sum to 1", head_size,
         quiet);
    y += 26;
    const double step = side_ + gap;
    for (std::size_t h = 0; h < a_.heads.size(); ++h) {
      item(Text{left + static_cast<double>(h) * step + side_ / 2, y,
                "head " + std::to_string(a_.heads[h]), head_size, ink, Anchor::middle});
    }
    y += 8;
    for (std::size_t l = 0; l < a_.layers.size(); ++l) {
      text(margin, y + side_ / 2 + head_size / 3, "layer " + std::to_string(a_.layers[l]),
           head_size, ink);
      if (labelled_) row_labels(left, y);
      for (std::size_t h = 0; h < a_.heads.size(); ++h) {
        map(l, h, left + static_cast<double>(h) * step, y);
      }
      y += step;
    }
    if (labelled_) {
      for (std::size_t h = 0; h < a_.heads.size(); ++h) {
        column_labels(left + static_cast<double>(h) * step, y);
      }
      y += widest_ + gap;
    }
    y = colour_bar(margin, y + 14);
    scene_.width = left + static_cast<double>(a_.heads.size()) * step + margin;
    scene_.width = std::max(scene_.width, margin * 2 + bar_width + 160);
    scene_.height = y + margin;
    scene_.title = a_.title;
    return std::move(scene_);
  }

 private:
  void item(Item one) { scene_.items.push_back(std::move(one)); }
  void text(double x, double y, const std::string& what, double size, Rgb fill, bool bold = false) {
    item(Text{x, y, what, size, fill, Anchor::start, 0, bold});
  }

  // One head of one layer as pixels, pooled where it has more cells than the sheet has pixels.
  void map(std::size_t layer, std::size_t head, double x, double y) {
    const auto n = static_cast<std::size_t>(count_);
    const float* const weights = a_.weights.data() + (layer * a_.heads.size() + head) * n * n;
    const auto room = static_cast<std::size_t>(side_ * 2);
    const std::size_t pool = (n + room - 1) / room, cells = (n + pool - 1) / pool;
    Raster raster{x, y, side_, side_, static_cast<int>(cells), static_cast<int>(cells), {}};
    std::vector<float> largest(cells * cells);
    for (std::size_t q = 0; q < n; ++q) {
      for (std::size_t k = 0; k < n; ++k) {
        float& cell = largest[q / pool * cells + k / pool];
        cell = std::max(cell, weights[q * n + k]);
      }
    }
    for (const float weight : largest) {
      raster.pixels.push_back(colormap(scale_.position(static_cast<double>(weight))));
    }
    item(std::move(raster));
    const double right = x + side_, bottom = y + side_;
    item(Polyline{{x, right, right, x, x}, {y, y, bottom, bottom, y}, faint, 0.5});
  }

  void row_labels(double x, double y) {
    const double cell = side_ / count_;
    for (int i = 0; i < count_; ++i) {
      item(Text{x - gap / 2, y + (i + 0.5) * cell + label_size * 0.36,
                labels_[static_cast<std::size_t>(i)], std::min(label_size, cell), quiet,
                Anchor::end});
    }
  }

  void column_labels(double x, double y) {
    const double cell = side_ / count_;
    for (int i = 0; i < count_; ++i) {
      item(Text{x + (i + 0.5) * cell + label_size * 0.36, y - gap / 2,
                labels_[static_cast<std::size_t>(i)], std::min(label_size, cell), quiet,
                Anchor::end, -90});
    }
  }

  double colour_bar(double x, double y) {
    Raster bar{x, y, bar_width, bar_height, 128, 1, {}};
    for (int i = 0; i < bar.columns; ++i) bar.pixels.push_back(colormap(i / (bar.columns - 1.0)));
    item(std::move(bar));
    for (const ColourScale::Tick& tick : scale_.ticks(bar_width)) {
      item(Text{x + tick.position * bar_width, y + bar_height + 12, tick.text, label_size, quiet,
                Anchor::middle});
    }
    text(x + bar_width + gap * 2, y + bar_height - 1, "attention weight", head_size, ink);
    return y + bar_height + 14;
  }

  const ModelAttention& a_;
  int count_;
  double side_ = 0, widest_ = 0;
  bool labelled_ = false;
  std::vector<std::string> labels_;
  ColourScale scale_;
  Scene scene_;
};

}  // namespace

Scene model_sheet(const ModelAttention& attention) { return Sheet(attention).draw(); }

}  // namespace attn::tools
