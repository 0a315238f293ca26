#pragma once

#include "models/text/tokenizer_spec.hpp"

#include <span>
#include <string>
#include <string_view>

namespace attn::models {

/// The steps one after the other. Thread-safe.
[[nodiscard]] std::string normalize(std::string_view text, std::span<const TokenizerStep> steps);

/// Is it a step that normalize() knows?
[[nodiscard]] bool known_normalizer(std::string_view kind) noexcept;

}  // namespace attn::models
