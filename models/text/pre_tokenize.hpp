#pragma once

#include "models/text/tokenizer_spec.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace attn::models {

/// Cuts a text into the pieces that tokens do not cross, by the steps one after the other. `first`:
/// it is the beginning of the whole text. Thread-safe. Throws Error(invalid) for steps that make
/// too much of the text.
[[nodiscard]] std::vector<std::string> pre_tokenize(std::string_view text,
                                                    std::span<const TokenizerStep> steps,
                                                    bool first);

/// Is it a step that pre_tokenize() knows?
[[nodiscard]] bool known_pre_tokenizer(std::string_view kind) noexcept;

}  // namespace attn::models
