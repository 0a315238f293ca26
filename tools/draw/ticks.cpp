#include "tools/draw/ticks.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace attn::tools {
namespace {

/// The smallest of 1, 2, 2.5 or 5 (2.5 only where `whole` is not asked) times ten to a whole power
/// that is at least `raw`.
double round_step(double raw, bool whole) {
  const double power = std::pow(10, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 2.5, 5.0}) {
    if (whole && factor == 2.5) continue;
    // a hair of slack: 0.30000000000000004 is 0.3
    if (factor * power >= raw * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

int decimals_of(double step) {
  for (int decimals = 0; decimals < 9; ++decimals) {
    const double scaled = step * std::pow(10, decimals);
    if (std::abs(scaled - std::round(scaled)) < 1e-6 * scaled) return decimals;
  }
  return 9;
}

}  // namespace

std::string Ticks::text(int i) const { return number_text(at(i), decimals); }

Ticks enclosing_ticks(double low, double high, int wanted) {
  // A flat line gets an axis with room above and below; finer differences than this are rounding.
  const double magnitude = std::max({std::abs(low), std::abs(high), 1e-12});
  if (high - low < magnitude * 1e-5) {
    low -= magnitude * 0.05;
    high += magnitude * 0.05;
  }
  const double span = high - low;
  Ticks ticks;
  ticks.step = round_step(span / std::max(1, wanted - 1), false);
  ticks.first = std::floor(low / ticks.step + 1e-9) * ticks.step;
  const double last = std::ceil(high / ticks.step - 1e-9) * ticks.step;
  ticks.count = std::max(2, static_cast<int>(std::lround((last - ticks.first) / ticks.step)) + 1);
  ticks.decimals = decimals_of(ticks.step);
  return ticks;
}

Ticks counting_ticks(int last, int most) {
  Ticks ticks;
  ticks.step = std::max(
      1.0, round_step(std::max(1, last) / static_cast<double>(std::max(1, most - 1)), true));
  ticks.count = static_cast<int>(last / ticks.step) + 1;
  return ticks;
}

std::string number_text(double value, int decimals) {
  char text[64];
  if (std::abs(value) >= 1e9 || decimals > 8) {
    std::snprintf(text, sizeof text, "%.3g", value);
    return text;
  }
  const double unit = std::pow(10, -decimals);
  std::snprintf(text, sizeof text, "%.*f", decimals, std::abs(value) < unit / 2 ? 0.0 : value);
  return text;
}

}  // namespace attn::tools
