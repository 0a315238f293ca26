#pragma once

#include "attn/text.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace attn::models {

/// The tokens there is room for: `asked`, or for 0 what the model was trained on, within reason.
/// Error(usage) for more than that.
[[nodiscard]] int checked_context(const TextInfo& text, int asked);

/// Throws Error(invalid), naming the first of the tokens that is not below `vocab`, and its place;
/// that of tokens[0] is `first`.
void check_tokens(std::span<const std::int32_t> tokens, std::int64_t vocab, std::int64_t first = 0);

/// Shortens a text to so many tokens: the end of its content goes, not the `suffix` tokens that the
/// tokenizer put after it.
void truncate(std::vector<std::int32_t>& tokens, std::size_t longest, std::size_t suffix);

/// A prompt as it is read: the begin token where none was given. Error(usage) where that is none,
/// or for a prompt longer than the context; Error(invalid) for an unknown id.
[[nodiscard]] std::vector<std::int32_t> checked_prompt(const TextInfo& text,
                                                       std::span<const std::int32_t> given,
                                                       int context);

}  // namespace attn::models
