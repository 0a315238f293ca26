#pragma once

#include "attn/attn.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace attn::tools {

/// Text in columns for a terminal: cells padded to the widest of their column, two blanks between.
class Table {
 public:
  /// A letter a column: 'l' left, 'r' right.
  explicit Table(std::string alignment) : alignment_(std::move(alignment)) {}
  void row(std::vector<std::string> cells);
  /// Every line begins with `indent` blanks and ends without any.
  [[nodiscard]] std::string text(int indent = 0) const;

 private:
  std::string alignment_;
  std::vector<std::vector<std::string>> rows_;
};

/// A number to four decimals, in scientific notation where that would be over a dozen digits.
[[nodiscard]] std::string decimals(double value);

/// "3 × 4"
[[nodiscard]] std::string dims_text(const Dims& shape);

/// x0, x1, …
[[nodiscard]] std::vector<std::string> positions(std::int64_t count);

/// What stands beside the numbers of a tensor; each list may be empty.
struct TensorLabels {
  std::vector<std::string> rows, columns;
  std::vector<std::string> tables;  ///< where there are more than two dimensions
};

/// A tensor for reading: a title with its shape, then numbers to four decimals. One dimension is a
/// column of labelled values, or without labels a row; of more, the last two are a table each.
/// Where a table does not fit `width` columns or 40 rows, its middle is left out.
[[nodiscard]] std::string tensor_text(std::string_view title, std::span<const float> values,
                                      const Dims& shape, const TensorLabels& labels, int width);

}  // namespace attn::tools
