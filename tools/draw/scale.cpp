#include "tools/draw/scale.hpp"

#include "tools/draw/ticks.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace attn::tools {

double ColourScale::position(double weight) const {
  return std::pow(std::clamp(weight / top, 0.0, 1.0), gamma);
}

std::vector<ColourScale::Tick> ColourScale::ticks(double length) const {
  std::vector<Tick> out;
  if (gamma == 1) {
    const Ticks even = enclosing_ticks(0, top, 6);
    for (int i = 0; i < even.count; ++i) out.push_back({position(even.at(i)), even.text(i)});
    return out;
  }
  // From the top down through 1, 2 and 5 times powers of ten, while there is room between two
  // numbers.
  const double apart = 32 / length;
  double last = 1.001 + apart;
  for (double power = std::pow(10, std::ceil(std::log10(top))); last > 2 * apart; power /= 10) {
    for (const double factor : {10.0, 5.0, 2.0}) {
      const double value = factor * power / 10;
      const double at = position(value);
      if (value > top * (1 + 1e-9) || at > last - apart || at < apart) continue;
      char text[32];
      std::snprintf(text, sizeof text, "%g", value);
      out.push_back({at, text});
      last = at;
    }
    if (position(power) < apart) break;
  }
  out.push_back({0, "0"});
  return out;
}

ColourScale scale_of(const Maps& maps) {
  ColourScale scale;
  const double most = maps.largest();
  scale.top = enclosing_ticks(0, most > 0 ? most : 1, 6).last();
  // 0.4 lifts a weight of a thousandth of the top to a sixteenth of the colours
  if (maps.column_count() * maps.pooled_columns > 64) scale.gamma = 0.4;
  return scale;
}

}  // namespace attn::tools
