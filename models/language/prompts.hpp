#pragma once

#include "attn/text.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace attn::models {

/// The tokens there is room for: `asked`, or for 0 what the model was trained on, within reason.
/// Error(usage) for more than that.
[[nodiscard]] int checked_context(const TextInfo& text, int asked);

/// A prompt as it is read: the begin token where none was given. Error(usage) where that is none,
/// or for a prompt longer than the context.
[[nodiscard]] std::vector<std::int32_t> checked_prompt(const TextInfo& text,
                                                       std::span<const std::int32_t> given,
                                                       int context);

}  // namespace attn::models
