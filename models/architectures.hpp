#pragma once

// The architectures, each in the file of its name.

#include "models/architecture.hpp"

namespace attn::models {

extern const Architecture attention_mechanism, self_attention, multi_head_attention,
    size_loss_attention, llama, qwen2, bert;

}  // namespace attn::models
