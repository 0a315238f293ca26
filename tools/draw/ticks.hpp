#pragma once

#include <string>
#include <vector>

namespace attn::tools {

/// Round numbers along an axis: first, first + step, … (count of them), printed with `decimals`.
struct Ticks {
  double first = 0, step = 1;
  int count = 2, decimals = 0;

  [[nodiscard]] double at(int i) const { return first + step * i; }
  [[nodiscard]] double last() const { return at(count - 1); }
  [[nodiscard]] std::string text(int i) const;
};

/// Ticks 1, 2, 2.5 or 5 times a power of ten apart, about `wanted` of them, that enclose low..high.
Ticks enclosing_ticks(double low, double high, int wanted);

/// Whole numbers within 0..last, at most `most` of them: for positions and epochs.
Ticks counting_ticks(int last, int most);

/// With a fixed number of decimals, never as "-0.00"; scientific where that would need over 9
/// digits.
std::string number_text(double value, int decimals);

}  // namespace attn::tools
