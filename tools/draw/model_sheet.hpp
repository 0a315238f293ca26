#pragma once

#include "tools/draw/model_attention.hpp"
#include "tools/draw/scene.hpp"

namespace attn::tools {

/// Heat maps in rows of layers and columns of heads, with labelled tokens where they fit, and a
/// colour bar. Large maps are pooled: a cell is the largest of the weights it stands for.
[[nodiscard]] Scene model_sheet(const ModelAttention& attention);

}  // namespace attn::tools
