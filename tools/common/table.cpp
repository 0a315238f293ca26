#include "tools/common/table.hpp"

#include "tools/draw/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace attn::tools {
namespace {

constexpr std::int64_t most_rows = 40, rows_after_gap = 4, most_tables = 16;
constexpr int longest_label = 24;
constexpr std::int64_t gap = -1;  // in the lists below: "…" stands here

/// 0, 1, …, count − 1 with a gap in the middle where these are more than `most`.
std::vector<std::int64_t> shown(std::int64_t count, std::int64_t most, std::int64_t after) {
  std::vector<std::int64_t> indices;
  const std::int64_t before = count <= most ? count : std::max<std::int64_t>(1, most - after - 1);
  for (std::int64_t i = 0; i < before; ++i) indices.push_back(i);
  if (count > most) {
    indices.push_back(gap);
    for (std::int64_t i = count - after; i < count; ++i) indices.push_back(i);
  }
  return indices;
}

std::string label(const std::vector<std::string>& labels, std::int64_t i) {
  if (i == gap) return "…";
  return fitted(visible(labels[static_cast<std::size_t>(i)]), longest_label);
}

int widest(const std::vector<std::string>& labels) {
  int width = 0;
  for (const std::string& text : labels) {
    width = std::max(width, std::min(display_width(visible(text)), longest_label));
  }
  return width;
}

std::string matrix(std::span<const float> values, std::int64_t rows, std::int64_t columns,
                   const TensorLabels& labels, int width) {
  constexpr int indent = 2, between = 2;
  const auto value = [&](std::int64_t r, std::int64_t c) {
    return decimals(values[static_cast<std::size_t>(r * columns + c)]);
  };
  const std::vector<std::int64_t> shown_rows = shown(rows, most_rows, rows_after_gap);
  int cell = widest(labels.columns);
  for (const std::int64_t r : shown_rows) {
    for (std::int64_t c = 0; r != gap && c < columns; ++c) {
      cell = std::max(cell, static_cast<int>(value(r, c).size()));
    }
  }
  const bool labelled = !labels.rows.empty();
  const int room = width - indent + between - (labelled ? widest(labels.rows) + between : 0);
  const std::vector<std::int64_t> shown_columns =
      shown(columns, std::max(4, room / (cell + between)), 1);

  Table table((labelled ? "l" : "") + std::string(shown_columns.size(), 'r'));
  if (!labels.columns.empty()) {
    std::vector<std::string> head;
    if (labelled) head.emplace_back();
    for (const std::int64_t c : shown_columns) head.push_back(label(labels.columns, c));
    table.row(std::move(head));
  }
  for (const std::int64_t r : shown_rows) {
    std::vector<std::string> line;
    if (labelled) line.push_back(label(labels.rows, r));
    for (const std::int64_t c : shown_columns) {
      line.push_back(r == gap || c == gap ? "…" : value(r, c));
    }
    table.row(std::move(line));
  }
  return table.text(indent);
}

/// "[1][0]": where table `flat` of a tensor stands.
std::string table_place(std::int64_t flat, const Dims& shape) {
  std::string place;
  for (std::size_t d = shape.size() - 2; d-- > 0; flat /= shape[d]) {
    place.insert(0, "[" + std::to_string(flat % shape[d]) + "]");
  }
  return place;
}

}  // namespace

void Table::row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

std::string Table::text(int indent) const {
  std::vector<int> widths(alignment_.size(), 0);
  for (const auto& row : rows_) {
    for (std::size_t c = 0; c < row.size(); ++c) {
      widths[c] = std::max(widths[c], display_width(row[c]));
    }
  }
  std::string out;
  for (const auto& row : rows_) {
    std::string line(static_cast<std::size_t>(indent), ' ');
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string padding(static_cast<std::size_t>(widths[c] - display_width(row[c])), ' ');
      line += c == 0 ? "" : "  ";
      line += alignment_[c] == 'r' ? padding + row[c] : row[c] + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::string decimals(double value) {
  constexpr double largest_plain = 1e8;
  const std::string text = std::fabs(value) < largest_plain ? fmt::format("{:.4f}", value)
                                                            : fmt::format("{:.4e}", value);
  return text == "-0.0000" ? "0.0000" : text;
}

std::string dims_text(const Dims& shape) {
  std::string text;
  for (const std::int64_t size : shape) {
    text += (text.empty() ? "" : " × ") + (size < 0 ? std::string("n") : std::to_string(size));
  }
  return text;
}

std::vector<std::string> positions(std::int64_t count) {
  std::vector<std::string> labels;
  for (std::int64_t i = 0; i < count; ++i) labels.push_back("x" + std::to_string(i));
  return labels;
}

std::string tensor_text(std::string_view title, std::span<const float> values, const Dims& shape,
                        const TensorLabels& labels, int width) {
  std::string out = fmt::format("{} ({})\n", title, dims_text(shape));
  if (shape.size() < 2) {
    const auto count = static_cast<std::int64_t>(values.size());
    return out + (labels.rows.empty() ? matrix(values, 1, count, labels, width)
                                      : matrix(values, count, 1, labels, width));
  }
  const std::int64_t rows = shape[shape.size() - 2], columns = shape.back();
  const std::int64_t tables = static_cast<std::int64_t>(values.size()) / (rows * columns);
  for (const std::int64_t t : shown(tables, most_tables, 1)) {
    if (t == gap) {
      out += "  …\n";
      continue;
    }
    const auto at = static_cast<std::size_t>(t);
    if (tables > 1) {
      out +=
          "  " +
          (labels.tables.empty() ? std::string(title) + table_place(t, shape) : labels.tables[at]) +
          "\n";
    }
    const auto size = static_cast<std::size_t>(rows * columns);
    out += matrix(values.subspan(at * size, size), rows, columns, labels, width);
  }
  return out;
}

}  // namespace attn::tools
