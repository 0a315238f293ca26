#pragma once

#include "tools/draw/draw.hpp"
#include "tools/draw/scene.hpp"

namespace attn::tools {

/// The heat maps with labels, axes' titles and a colour bar. Errors as write_heatmap's.
Scene heatmap_scene(const AttentionPicture& picture);

/// The loss above, the weights below. Errors as write_training_plot's.
Scene training_scene(const TrainingPlot& plot);

}  // namespace attn::tools
