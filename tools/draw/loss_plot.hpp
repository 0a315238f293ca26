#pragma once

#include "tools/draw/scene.hpp"

#include <string>
#include <vector>

namespace attn::tools {

/// How a fine-tuning went.
struct LossPlot {
  struct Point {
    int step = 0;  ///< updates before it
    double loss = 0;
  };

  std::string title;
  std::vector<double> losses;   ///< of updates 1, 2, …; a NaN or infinity leaves a gap
  std::vector<Point> held_out;  ///< in their order; may be empty
};

/// The loss of every update, of many their running mean as well, and the loss on held-out examples.
/// Throws Error(usage) where there are no losses.
[[nodiscard]] Scene loss_scene(const LossPlot& plot);

/// The same in a .png or .svg file, whole or not at all. Throws Error(usage) for another extension;
/// Error(io), naming the path, where it cannot be written.
void write_loss_plot(const std::string& path, const LossPlot& plot);

}  // namespace attn::tools
