#pragma once

#include "models/text/tokenizer_spec.hpp"

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace attn::models {

/// The model of a tokenizer: one pre-tokenized piece into tokens. Immutable; refers to the spec
/// that it was made from, which outlives it.
class Segmenter {
 public:
  Segmenter() = default;
  Segmenter(const Segmenter&) = delete;
  Segmenter& operator=(const Segmenter&) = delete;
  virtual ~Segmenter() = default;

  /// Appends the tokens of the piece.
  virtual void segment(std::string_view piece, std::vector<std::int32_t>& to) const = 0;
};

/// The one that the spec asks for. Of pieces that are there twice the first counts. Throws
/// Error(invalid), naming `name`, for merges that make nothing.
[[nodiscard]] std::unique_ptr<const Segmenter> make_segmenter(const TokenizerSpec& spec,
                                                              const std::string& name);

/// That of merges: BPE, or by scores.
[[nodiscard]] std::unique_ptr<const Segmenter> make_merging(const TokenizerSpec& spec,
                                                            const std::string& name);

/// A piece of a byte-level vocabulary as the bytes that it stands for; a piece with a character
/// outside the alphabet (an added token) as it is.
[[nodiscard]] std::string piece_bytes(std::string_view piece);

/// The byte that a piece <0xXX> of a vocabulary with byte fallback stands for; −1 for other pieces.
[[nodiscard]] int fallback_byte(std::string_view piece) noexcept;

/// Appends the text's bytes as those tokens; false, and nothing is appended, where one is missing.
[[nodiscard]] bool append_byte_tokens(const std::vector<std::int32_t>& byte_tokens,
                                      std::string_view text, std::vector<std::int32_t>& to);

/// The tokens <0x00> to <0xFF> of a vocabulary, −1 where one is missing.
[[nodiscard]] std::vector<std::int32_t> byte_tokens(const TokenizerSpec& spec);

}  // namespace attn::models
