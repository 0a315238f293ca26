#include "tools/draw/colour.hpp"
#include "tools/draw/draw.hpp"
#include "tools/draw/maps.hpp"
#include "tools/draw/scale.hpp"
#include "tools/draw/text.hpp"
#include "tools/draw/ticks.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <string_view>

namespace attn::tools {
namespace {

using Lines = std::vector<std::string>;

// From light to dark on paper; on a dark terminal from dark to light: more ink is more weight in
// both.
constexpr const char* shades[] = {" ", "·", "░", "▒", "▓", "█"};
constexpr double shade_from[] = {0, 0.04, 0.2, 0.4, 0.6, 0.8};  // shares of the largest weight
constexpr int shade_count = 6;
constexpr int longest_label = 14;  // columns for row labels, lines for column labels
constexpr int widest_cell = 9;

bool true_colour() {
  const char* promised = std::getenv("COLORTERM");
  const std::string_view value = promised == nullptr ? "" : promised;
  return value == "truecolor" || value == "24bit";
}

// The colour map, from light to dark, in the 6 × 6 × 6 cube that every terminal of 256 colours has.
// The nearest of them one by one would jump between greys and greens; these darken steadily.
constexpr int cube_map[] = {231, 194, 158, 116, 44, 38, 31, 25, 24, 18, 17};

Rgb cube_rgb(int index) {
  constexpr std::uint8_t levels[] = {0, 95, 135, 175, 215, 255};
  return {levels[(index - 16) / 36], levels[(index - 16) / 6 % 6], levels[(index - 16) % 6]};
}

std::string repeat(std::string_view what, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += what;
  return out;
}

std::string padded(const std::string& text, int width) {
  return text + repeat(" ", width - display_width(text));
}

std::string padded_left(const std::string& text, int width) {
  return repeat(" ", width - display_width(text)) + text;
}

std::string trimmed(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

class Terminal {
 public:
  Terminal(const AttentionPicture& picture, bool colour, int width)
      : maps_(maps_of(picture)),
        colour_(colour),
        true_colour_(true_colour()),
        width_(std::max(20, width)) {
    scale_ = scale_of(maps_);
    if (maps_.largest() > 0)
      scale_.top = maps_.largest();  // few shades: none is spared for rounding up
    decimals_ = scale_.top >= 0.2 && scale_.gamma == 1 ? 2 : 4;
  }

  std::string draw() {
    std::string out;
    if (!maps_.title.empty()) out += fitted(maps_.title, width_) + "\n";
    if (maps_.map_count() == 1 && maps_.row_count() == 1) {
      bars(out);
      return out;
    }
    if (maps_.map_count() == 1 && maps_.row_axis == "head") transpose();
    heat_maps(out);
    legend(out);
    return out;
  }

 private:
  /// A colour as this terminal can show it.
  struct Paint {
    Rgb rgb;
    int index = 0;  // of the 256 colours
  };

  /// The colour map at t.
  [[nodiscard]] Paint mapped(double t) const {
    if (true_colour_) return {colormap(t), 0};
    constexpr int last = static_cast<int>(std::size(cube_map)) - 1;
    const int index = cube_map[std::lround(std::clamp(t, 0.0, 1.0) * last)];
    return {cube_rgb(index), index};
  }

  [[nodiscard]] std::string sequence(const Paint& paint, int layer) const {
    const std::string start = "\x1b[" + std::to_string(layer);
    if (!true_colour_) return start + ";5;" + std::to_string(paint.index) + "m";
    const Rgb c = paint.rgb;
    return start + ";2;" + std::to_string(c.r) + ";" + std::to_string(c.g) + ";" +
           std::to_string(c.b) + "m";
  }
  [[nodiscard]] std::string background(const Paint& paint) const { return sequence(paint, 48); }
  [[nodiscard]] std::string foreground(const Paint& paint) const { return sequence(paint, 38); }
  [[nodiscard]] std::string text_colour_on(const Paint& paint) const {
    const Rgb text = text_on(paint.rgb);
    return foreground({text, luminance(text) > 0.5 ? 231 : 16});
  }

  [[nodiscard]] double share(double weight) const { return scale_.position(weight); }
  /// The weight whose share it is.
  [[nodiscard]] double weight_at(double share) const {
    return scale_.top * std::pow(share, 1 / scale_.gamma);
  }

  /// Large weights glow: most terminals are dark, and on a light one every cell is painted anyway.
  [[nodiscard]] Paint glow(double share) const { return mapped(1 - share); }

  [[nodiscard]] static std::string name(const std::vector<std::string>& labels, int i,
                                        int per_cell) {
    const std::string& label = labels[static_cast<std::size_t>(i)];
    return label.empty() ? std::to_string(i * per_cell) : label;
  }

  /// One query: a line a key, "label  0.1234 ▇▇▇▇", with bars in eighths of a column.
  void bars(std::string& out) const {
    int label_width = 0;
    for (int c = 0; c < maps_.column_count(); ++c) {
      label_width = std::max(label_width, display_width(name(maps_.columns, c, 1)));
    }
    label_width = std::min({label_width, 24, width_ - 12});
    const int room = std::min(40, width_ - label_width - 9);
    constexpr const char* eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    if (any_label(maps_.rows)) out += "attention of " + fitted(maps_.rows[0], width_ - 13) + "\n";
    for (int c = 0; c < maps_.column_count(); ++c) {
      const float weight = maps_.at(0, 0, c);
      std::string line = padded(fitted(name(maps_.columns, c, 1), label_width), label_width) + "  ";
      if (!std::isfinite(weight)) {
        out += line + "     –\n";
        continue;
      }
      const int length = static_cast<int>(std::lround(share(weight) * room * 8));
      const std::string bar = repeat("█", length / 8) + eighths[length % 8];
      line += number_text(weight, 4);
      if (!bar.empty()) {
        // a bar's colour must show on a light terminal as on a dark one: the middle of the map
        line += " " +
                (colour_ ? foreground(mapped(0.35 + 0.3 * share(weight))) + bar + "\x1b[0m" : bar);
      }
      out += line + "\n";
    }
  }

  /// Heads of one query read better as columns beside the keys, one a line.
  void transpose() {
    Maps turned = maps_;
    std::swap(turned.rows, turned.columns);
    std::swap(turned.row_axis, turned.column_axis);
    auto& cells = turned.maps[0].weights;
    for (int r = 0; r < turned.row_count(); ++r) {
      for (int c = 0; c < turned.column_count(); ++c) {
        cells[static_cast<std::size_t>(r) * turned.columns.size() + static_cast<std::size_t>(c)] =
            maps_.at(0, c, r);
      }
    }
    maps_ = std::move(turned);
  }

  /// Maps side by side while they fit, else below each other.
  void heat_maps(std::string& out) {
    const auto widest = [&](const std::vector<std::string>& labels, int per_cell) {
      int columns = 0;
      for (int i = 0; i < static_cast<int>(labels.size()); ++i) {
        columns = std::max(columns, display_width(name(labels, i, per_cell)));
      }
      return std::min(columns, longest_label);
    };
    const int room = width_ - std::min(widest(maps_.rows, 1), width_ / 3) - 1;
    // a character is twice as tall as wide; one more line than that and a page would not do
    if (maps_.column_count() > room) {
      const int per_cell = (maps_.column_count() + room - 1) / room;
      const int per_line = maps_.row_count() > 50 ? 2 * per_cell : 1;
      maps_ = pooled(maps_, (maps_.row_count() + per_line - 1) / per_line, room);
    }
    label_width_ = std::min(widest(maps_.rows, maps_.pooled_rows), width_ / 3);
    const int longest = widest(maps_.columns, maps_.pooled_columns);
    const int fits = (width_ - label_width_ - 1) / maps_.column_count();
    upright_ = longest + 1 > std::min(fits, widest_cell);
    // Short cells where labels stand upright anyway: two columns are about square, five hold a
    // value.
    const int wanted = upright_ ? (colour_ && fits >= 5 ? 5
                                   : fits >= 3          ? 3
                                                        : fits)
                                : std::max(longest + 1, 6);
    cell_width_ = std::clamp(wanted, 1, std::max(1, fits));
    label_lines_ = maps_.pooled_columns > 1 ? 0 : upright_ ? longest : 1;

    const int map_width = label_width_ + 1 + cell_width_ * maps_.column_count();
    const int across = std::max(1, (width_ + 3) / (map_width + 3));
    for (int first = 0; first < maps_.map_count(); first += across) {
      if (first > 0) out += "\n";
      std::vector<Lines> blocks;
      for (int m = first; m < std::min(maps_.map_count(), first + across); ++m)
        blocks.push_back(block(m, map_width));
      for (std::size_t l = 0; l < blocks[0].size(); ++l) {
        std::string line;
        for (std::size_t b = 0; b < blocks.size(); ++b) line += (b > 0 ? "   " : "") + blocks[b][l];
        out += trimmed(line) + "\n";
      }
    }
  }

  /// One map as lines of exactly `map_width` columns.
  [[nodiscard]] Lines block(int m, int map_width) const {
    Lines lines;
    const std::string& title = maps_.maps[static_cast<std::size_t>(m)].title;
    if (!title.empty()) lines.push_back(padded(fitted(title, map_width), map_width));
    for (int l = 0; l < label_lines_; ++l) {
      std::string line = repeat(" ", label_width_ + 1);
      for (int c = 0; c < maps_.column_count(); ++c) {
        const std::string label =
            fitted(name(maps_.columns, c, 1), upright_ ? label_lines_ : cell_width_ - 1);
        line += centred(upright_ ? upright_letter(label, l) : label);
      }
      lines.push_back(line);
    }
    for (int r = 0; r < maps_.row_count(); ++r) {
      std::string line =
          padded_left(fitted(name(maps_.rows, r, maps_.pooled_rows), label_width_), label_width_) +
          " ";
      std::string style;
      for (int c = 0; c < maps_.column_count(); ++c) {
        const Cell next = cell(maps_.at(m, r, c));
        if (next.style != style) line += next.style;
        style = next.style;
        line += next.text;
      }
      lines.push_back(line + (colour_ ? "\x1b[0m" : ""));
    }
    return lines;
  }

  [[nodiscard]] std::string centred(const std::string& text) const {
    const int left = std::max(0, (cell_width_ - display_width(text)) / 2);
    return padded(repeat(" ", left) + text, cell_width_);
  }

  /// The letter of an upright label that stands on line `l`; labels end right above the map.
  [[nodiscard]] std::string upright_letter(const std::string& label, int l) const {
    std::vector<std::string>
        letters;  // with their combining marks; what is too wide for the cell as "…"
    for (const char32_t p : code_points(label)) {
      const int columns = display_width(p);
      if (columns == 0 && !letters.empty()) {
        letters.back() += utf8({p});
      } else if (columns > 0) {
        letters.push_back(columns > cell_width_ ? "…" : utf8({p}));
      }
    }
    const int i = l - (label_lines_ - static_cast<int>(letters.size()));
    return i < 0 ? "" : letters[static_cast<std::size_t>(i)];
  }

  struct Cell {
    std::string style, text;  // the escape sequence before the text, or none
  };

  [[nodiscard]] Cell cell(float weight) const {
    if (!std::isfinite(weight)) return {colour_ ? "\x1b[0m" : "", repeat("╱", cell_width_)};
    if (!colour_) return {"", repeat(shades[shade(weight)], cell_width_)};
    const Paint paint = glow(share(weight));
    if (cell_width_ < 5) return {background(paint), repeat(" ", cell_width_)};
    return {background(paint) + text_colour_on(paint),
            centred(fitted(number_text(weight, decimals_), cell_width_))};
  }

  [[nodiscard]] int shade(double weight) const {
    int level = shade_count - 1;
    while (share(weight) < shade_from[level]) --level;
    return level;
  }

  void legend(std::string& out) const {
    out += "\n";
    std::string line = "attention weight  ";
    if (colour_) {
      line += number_text(0, decimals_) + " ";
      constexpr int steps = 24;
      for (int i = 0; i < steps; ++i) line += background(glow(i / (steps - 1.0))) + " ";
      line += "\x1b[0m " + number_text(scale_.top, decimals_);
    } else {
      for (int i = 1; i < shade_count; ++i) {
        line += std::string(shades[i]) + " " + number_text(weight_at(shade_from[i]), decimals_) +
                (i + 1 < shade_count ? "  " : "");
      }
      line += "–" + number_text(scale_.top, decimals_);
    }
    if (colour_ && scale_.gamma != 1) line += " (power scale)";
    if (maps_.has_gaps()) line += "  ╱ no number";
    out += line + "\n";
    if (maps_.pooled_rows * maps_.pooled_columns > 1) {
      out += "each cell the largest of " + std::to_string(maps_.pooled_rows) + " × " +
             std::to_string(maps_.pooled_columns) + " weights\n";
    }
  }

  Maps maps_;
  bool colour_, true_colour_;
  int width_;
  ColourScale scale_;
  int decimals_ = 2;
  int label_width_ = 0, cell_width_ = 1, label_lines_ = 1;
  bool upright_ = false;
};

}  // namespace

std::string terminal_heatmap(const AttentionPicture& picture, bool colour, int width) {
  return Terminal(picture, colour, width).draw();
}

}  // namespace attn::tools
