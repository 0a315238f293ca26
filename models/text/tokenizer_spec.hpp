#pragma once

#include "runtime/formats/gguf.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace attn::models {

enum class TokenizerModel {
  bpe,        ///< merges by rank, over bytes or characters
  scored,     ///< SentencePiece's BPE: merges by the score of what they make (GGUF "llama")
  unigram,    ///< the likeliest segmentation
  wordpiece,  ///< the longest match from the left (BERT)
};

/// A step of normalizing or pre-tokenizing: what it does, and its settings.
struct TokenizerStep {
  std::string kind;
  std::string a, b;
  bool flag = false, other = false;

  friend bool operator==(const TokenizerStep&, const TokenizerStep&) = default;
};

/// A token that is found in the text as it stands, before anything else looks at it.
struct AddedToken {
  std::int32_t id = 0;
  std::string text;
  bool special = false;
  bool strip_left = false, strip_right = false;  ///< takes the blanks beside it along
  bool single_word = false;                      ///< not inside a word
};

/// All that makes a tokenizer, whatever file it came from.
struct TokenizerSpec {
  TokenizerModel model = TokenizerModel::bpe;
  std::vector<std::string> pieces;  ///< by id; of byte-level models in GPT-2's alphabet of bytes
  std::vector<double> scores;       ///< of scored and unigram models
  std::vector<std::pair<std::int32_t, std::int32_t>> merges;  ///< of bpe, best first
  bool byte_level = false;     ///< pieces are bytes, written in GPT-2's alphabet
  bool byte_fallback = false;  ///< characters without a piece become <0xXX>
  bool ignore_merges = false;  ///< a word that is a piece is taken whole
  std::optional<std::int32_t> unknown;
  std::string continuing_prefix = "##";
  std::int64_t longest_word = 100;  ///< wordpiece: characters; longer words are unknown
  /// nfc, nfd, nfkc, nfkd, lowercase, strip_accents, strip (flag: left, other: right), replace (a
  /// by b), prepend (a), bert_clean, bert_chinese
  std::vector<TokenizerStep> normalizers;
  /// gpt2, llama3, qwen2, digits (flag: each alone), prefix_space, bert, whitespace,
  /// whitespace_split, punctuation, metaspace (a: the sign, b: always, first or never; flag: split)
  std::vector<TokenizerStep> pre_tokenizers;
  /// Before and after a text.
  std::vector<std::int32_t> prefix, suffix;
  std::vector<AddedToken> added;
  /// Special tokens count as such in every text, as BERT's tokenizers have it.
  bool special_in_text = false;
  std::optional<std::int32_t> begin;
  std::vector<std::int32_t> ends;                            ///< each ends a generation
  std::string unknown_text, begin_text, end_text, pad_text;  ///< for chat templates
  std::string chat_template;
};

/// The tokenizer of a GGUF file; nothing if it has none. Throws Error(invalid) for a model or
/// pre-tokenizer that is not known here, naming it, and for vocabularies that do not hold together.
[[nodiscard]] std::optional<TokenizerSpec> tokenizer_from_gguf(const runtime::Gguf& file);

/// Texts of a Hugging Face folder; those that it lacks are empty.
struct HuggingFaceTexts {
  std::string name;  ///< of the folder, for messages
  std::string tokenizer, tokenizer_config, special_tokens_map, chat_template;
};

/// tokenizer.json (https://github.com/huggingface/tokenizers) and what stands beside it. Truncation
/// and padding are left out. Throws as tokenizer_from_gguf.
[[nodiscard]] TokenizerSpec tokenizer_from_huggingface(const HuggingFaceTexts& texts);

/// As it travels inside a model.bin, and back; `what` names the text in messages.
[[nodiscard]] std::string to_json(const TokenizerSpec& spec);
[[nodiscard]] TokenizerSpec tokenizer_spec_from_json(std::string_view text, std::string_view what);

/// U+2581, which stands for a blank in SentencePiece's pieces.
inline constexpr const char* metaspace_sign = "\u2581";

/// A byte in GPT-2's alphabet, which gives every byte a visible character, and back (−1: no byte).
[[nodiscard]] std::uint32_t byte_character(unsigned char byte) noexcept;
[[nodiscard]] int character_byte(std::uint32_t code) noexcept;

}  // namespace attn::models
