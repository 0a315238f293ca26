#pragma once

#include "models/text/tokenizer_spec.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace attn::models {

/// What steps may make of a text, in bytes: a compatibility form makes eleven times as many of one
/// character, SentencePiece three of a blank; only a hostile tokenizer makes more than these.
[[nodiscard]] constexpr std::size_t most_after_steps(std::size_t bytes) noexcept {
  return 64 * bytes + 65536;
}

/// Throws Error(invalid) if a text of `bytes` bytes became one of more than most_after_steps().
void check_growth(std::size_t now, std::size_t bytes);

/// The steps one after the other. Thread-safe. Throws Error(invalid) for steps that make too much
/// of the text.
[[nodiscard]] std::string normalize(std::string_view text, std::span<const TokenizerStep> steps);

/// Is it a step that normalize() knows?
[[nodiscard]] bool known_normalizer(std::string_view kind) noexcept;

}  // namespace attn::models
