#pragma once

#include "attn/text.hpp"
#include "models/text/tokenizer_spec.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace attn::models {

class Segmenter;

/// Text to token ids and back. Immutable after construction: any number of threads may use it.
class Tokenizer {
 public:
  /// Throws Error(invalid) naming `name` where the spec does not hold together.
  Tokenizer(TokenizerSpec spec, const std::string& name);
  ~Tokenizer();

  /// The tokens of a text. parse_special: special tokens spelled out in it count as such. Bytes
  /// that are no UTF-8 go through byte-level models unchanged; elsewhere they are unknown. Throws
  /// Error(invalid) for 2³¹ bytes or more. Time grows little more than linearly with the length.
  [[nodiscard]] std::vector<std::int32_t> encode(std::string_view text,
                                                 const TokenizeOptions& options = {}) const;

  /// The bytes of the tokens, special ones left out where asked; not always valid UTF-8.
  [[nodiscard]] std::string decode(std::span<const std::int32_t> tokens, bool skip_special) const;

  /// What one token adds to a text; `first` where it begins it. Special tokens by their name, ids
  /// that are none empty.
  [[nodiscard]] std::string bytes_of(std::int32_t token, bool first) const;

  [[nodiscard]] std::int64_t size() const noexcept;
  [[nodiscard]] bool special(std::int32_t token) const noexcept;
  [[nodiscard]] const TokenizerSpec& spec() const noexcept { return spec_; }

 private:
  struct Cut {
    std::string_view text;
    std::int32_t token = -1;  // of an added token
  };
  [[nodiscard]] std::vector<Cut> cut_added(std::string_view text, bool parse_special) const;

  TokenizerSpec spec_;
  std::unique_ptr<const Segmenter> segmenter_;
  std::vector<bool> special_;                            // by id
  std::vector<std::vector<std::size_t>> added_by_byte_;  // by first byte: longest first
};

/// Tokens in, only whole characters out: what a stream may show.
class TextStream {
 public:
  explicit TextStream(const Tokenizer& tokenizer) : tokenizer_(&tokenizer) {}

  /// The characters that the token completes; a special token adds nothing.
  std::string feed(std::int32_t token);
  /// What is left, bytes that make no character as U+FFFD.
  std::string finish();

 private:
  const Tokenizer* tokenizer_;
  std::string pending_;
};

}  // namespace attn::models
