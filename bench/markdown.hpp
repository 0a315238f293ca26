#pragma once

#include <string>
#include <vector>

namespace attn::bench {

/// A table in Markdown whose columns stand below each other in a terminal as well.
class MarkdownTable {
 public:
  /// A letter a column: 'l' left, 'r' right. The first row is the head.
  explicit MarkdownTable(std::string alignment) : alignment_(std::move(alignment)) {}
  void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  [[nodiscard]] std::string text() const;

 private:
  std::string alignment_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace attn::bench
