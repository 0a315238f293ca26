#pragma once

#include "tools/draw/model_attention.hpp"

#include <string>

namespace attn::tools {

/// The page of write_model_attention. Its weights are in steps of 1/255 of the square root (an
/// error of at most 0.004), those below 1/65025 left out, packed and in base64; only the keys up to
/// the query where the model is causal.
[[nodiscard]] std::string model_page(const ModelAttention& attention);

}  // namespace attn::tools
