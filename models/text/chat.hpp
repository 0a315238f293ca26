#pragma once

#include "attn/text.hpp"
#include "models/text/tokenizer.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace attn::models {

/// The conversation as the tokenizer's chat template has it, as tokens; `name` stands in messages.
/// The template's special tokens count as such, what looks like one in a message or its role does
/// not: a user cannot end their turn or speak for another. Throws Error(usage) if there is no
/// template, Error(invalid) for what the template does not do.
[[nodiscard]] std::vector<std::int32_t> chat_tokens(const Tokenizer& tokenizer,
                                                    const std::string& name,
                                                    std::span<const ChatMessage> conversation);

}  // namespace attn::models
