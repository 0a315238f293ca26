#pragma once

#include "tools/draw/maps.hpp"

#include <string>
#include <vector>

namespace attn::tools {

/// From a weight to its place on the colour map. All maps of a picture share one, beginning at 0.
struct ColourScale {
  struct Tick {
    double position = 0;  ///< 0..1 along the colour bar
    std::string text;
  };

  double top = 1;    ///< the weight with position 1
  double gamma = 1;  ///< position = (weight / top) ^ gamma

  [[nodiscard]] double position(double weight) const;  ///< held within 0..1

  /// Round numbers along a colour bar of this length in points.
  [[nodiscard]] std::vector<Tick> ticks(double length) const;
};

/// Linear up to the round number above the largest weight. Over more keys than 64 a typical weight
/// is a hundredth of the largest and would be invisible: there the scale is a power law.
ColourScale scale_of(const Maps& maps);

}  // namespace attn::tools
