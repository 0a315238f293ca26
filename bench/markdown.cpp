#include "bench/markdown.hpp"

#include "tools/draw/text.hpp"

#include <algorithm>

namespace attn::bench {

using tools::display_width;

std::string MarkdownTable::text() const {
  constexpr int least_width = 4;  // room for the rule below the head
  std::vector<int> widths(alignment_.size(), least_width);
  for (const auto& row : rows_) {
    for (std::size_t c = 0; c < row.size(); ++c) {
      widths[c] = std::max(widths[c], display_width(row[c]));
    }
  }
  std::string out;
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    std::string line = "|", rule = "|";
    for (std::size_t c = 0; c < alignment_.size(); ++c) {
      const std::string& cell = rows_[r][c];
      const bool right = alignment_[c] == 'r';
      const std::string padding(static_cast<std::size_t>(widths[c] - display_width(cell)), ' ');
      line += " " + (right ? padding + cell : cell + padding) + " |";
      const std::string dashes(static_cast<std::size_t>(widths[c] - (right ? 1 : 0)), '-');
      rule += " " + dashes + (right ? ": |" : " |");
    }
    out += line + "\n";
    if (r == 0) out += rule + "\n";
  }
  return out;
}

}  // namespace attn::bench
