#pragma once

#include "attn/attn.hpp"
#include "tools/draw/model_attention.hpp"

#include <span>
#include <string>
#include <vector>

namespace attn::tools {

/// Runs the tokens with the attention of the layers handed out, and gives that of the heads to
/// draw. A progress bar stands on stderr meanwhile; Ctrl-C ends it where interrupts are held.
/// Throws as Model::attention.
[[nodiscard]] ModelAttention model_picture(Model& model, const std::vector<std::int32_t>& tokens,
                                           std::span<const int> layers, std::span<const int> heads,
                                           const std::string& title);

}  // namespace attn::tools
