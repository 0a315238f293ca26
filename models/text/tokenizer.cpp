#include "models/text/tokenizer.hpp"

#include "attn/error.hpp"
#include "models/text/normalize.hpp"
#include "models/text/pre_tokenize.hpp"
#include "models/text/segmenter.hpp"
#include "models/text/unicode.hpp"
#include "runtime/formats/text.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace attn::models {
namespace {

// Throws Error(invalid), naming `what`, unless the parts hold together: pieces there are, ids below
// their number, a score each where scores are needed.
void check_tokenizer(const TokenizerSpec& spec, std::string_view what) {
  const auto fail = [&](const std::string& problem) {
    throw Error(ErrorKind::invalid, std::string(what) + ": " + problem);
  };
  const std::size_t size = spec.pieces.size();
  if (size == 0) fail("the vocabulary is empty");
  if (size > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
    fail("the vocabulary has " + std::to_string(size) + " pieces");
  }
  const bool scored = spec.model == TokenizerModel::scored || spec.model == TokenizerModel::unigram;
  if (scored && spec.scores.size() != size) {
    fail(std::to_string(spec.scores.size()) + " scores for " + std::to_string(size) + " pieces");
  }
  const auto check = [&](std::int64_t id, const std::string& role) {
    if (id >= 0 && id < static_cast<std::int64_t>(size)) return;
    fail(role + " " + std::to_string(id) + " is not in 0.." + std::to_string(size - 1));
  };
  for (const auto& [left, right] : spec.merges) {
    check(left, "merge of token");
    check(right, "merge of token");
  }
  if (spec.unknown) check(*spec.unknown, "unknown token");
  if (spec.begin) check(*spec.begin, "begin token");
  for (const std::int32_t id : spec.ends) check(id, "end token");
  for (const std::int32_t id : spec.prefix) check(id, "token before a text");
  for (const std::int32_t id : spec.suffix) check(id, "token after a text");
  for (const AddedToken& token : spec.added) {
    check(token.id, "added token");
    if (token.text.empty()) fail("added token " + std::to_string(token.id) + " is empty");
  }
  for (const TokenizerStep& step : spec.normalizers) {
    if (!known_normalizer(step.kind)) fail("normalizer " + runtime::quote(step.kind));
  }
  for (const TokenizerStep& step : spec.pre_tokenizers) {
    if (!known_pre_tokenizer(step.kind)) fail("pre-tokenizer " + runtime::quote(step.kind));
  }
  if (!spec.byte_fallback) return;
  const std::vector<std::int32_t> bytes = byte_tokens(spec);
  const auto missing = std::find(bytes.begin(), bytes.end(), -1);
  if (missing != bytes.end()) {
    fail("byte fallback, and no token for byte " + std::to_string(missing - bytes.begin()));
  }
}

}  // namespace

Tokenizer::Tokenizer(TokenizerSpec spec, const std::string& name)
    : spec_(std::move(spec)), special_(spec_.pieces.size()), added_by_byte_(256) {
  check_tokenizer(spec_, name);
  segmenter_ = make_segmenter(spec_, name);
  for (std::size_t i = 0; i < spec_.added.size(); ++i) {
    const AddedToken& token = spec_.added[i];
    if (token.special) special_[static_cast<std::size_t>(token.id)] = true;
    added_by_byte_[static_cast<unsigned char>(token.text.front())].push_back(i);
  }
  for (std::vector<std::size_t>& candidates : added_by_byte_) {
    std::stable_sort(candidates.begin(), candidates.end(), [&](std::size_t a, std::size_t b) {
      return spec_.added[a].text.size() > spec_.added[b].text.size();
    });
  }
}

Tokenizer::~Tokenizer() = default;

std::int64_t Tokenizer::size() const noexcept {
  return static_cast<std::int64_t>(spec_.pieces.size());
}

bool Tokenizer::special(std::int32_t token) const noexcept {
  return token >= 0 && token < size() && special_[static_cast<std::size_t>(token)];
}

// The text between added tokens, and those tokens; the leftmost, of several the longest.
std::vector<Tokenizer::Cut> Tokenizer::cut_added(std::string_view text, bool parse_special) const {
  std::vector<Cut> cuts;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (const std::size_t i : added_by_byte_[static_cast<unsigned char>(text[at])]) {
      const AddedToken& token = spec_.added[i];
      if (token.special && !parse_special) continue;
      if (text.compare(at, token.text.size(), token.text) != 0) continue;
      std::size_t end = at + token.text.size();
      const auto before = [&](std::size_t where) {
        return last_character(text.substr(begin, where - begin));
      };
      if (token.single_word) {
        const bool inside = (at > begin && is_word(before(at).code)) ||
                            (end < text.size() && is_word(character_at(text, end).code));
        if (inside) continue;
      }
      std::size_t from = at;
      while (token.strip_left && from > begin && is_space(before(from).code)) {
        from -= before(from).length;
      }
      while (token.strip_right && end < text.size() && is_space(character_at(text, end).code)) {
        end += character_at(text, end).length;
      }
      if (from > begin) cuts.push_back({text.substr(begin, from - begin), -1});
      cuts.push_back({{}, token.id});
      begin = end;
      at = end - 1;
      break;
    }
  }
  if (begin < text.size()) cuts.push_back({text.substr(begin), -1});
  return cuts;
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text,
                                            const TokenizeOptions& options) const {
  if (text.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
    throw Error(ErrorKind::invalid,
                "text: " + std::to_string(text.size()) + " bytes, above the limit of 2147483647");
  }
  std::vector<std::int32_t> tokens;
  if (options.add_special) tokens = spec_.prefix;
  bool first = true;
  for (const Cut& cut : cut_added(text, options.parse_special || spec_.special_in_text)) {
    if (cut.token >= 0) {
      tokens.push_back(cut.token);
    } else if (spec_.normalizers.empty()) {
      for (const std::string& piece : pre_tokenize(cut.text, spec_.pre_tokenizers, first)) {
        segmenter_->segment(piece, tokens);
      }
    } else {
      const std::string normal = normalize(cut.text, spec_.normalizers);
      for (const std::string& piece : pre_tokenize(normal, spec_.pre_tokenizers, first)) {
        segmenter_->segment(piece, tokens);
      }
    }
    first = false;
  }
  if (options.add_special) {
    tokens.insert(tokens.end(), spec_.suffix.begin(), spec_.suffix.end());
  }
  return tokens;
}

std::string Tokenizer::bytes_of(std::int32_t token, bool first) const {
  if (token < 0 || token >= size()) return "";
  const std::string& piece = spec_.pieces[static_cast<std::size_t>(token)];
  if (special(token)) return piece;
  if (spec_.byte_level) return piece_bytes(piece);
  if (spec_.model == TokenizerModel::wordpiece) {
    const std::string& prefix = spec_.continuing_prefix;
    const bool continues =
        piece.size() > prefix.size() && piece.compare(0, prefix.size(), prefix) == 0;
    if (continues) return piece.substr(prefix.size());
    return first ? piece : " " + piece;
  }
  if (const int byte = spec_.byte_fallback ? fallback_byte(piece) : -1; byte >= 0) {
    return std::string(1, static_cast<char>(byte));
  }
  constexpr std::string_view sign = metaspace_sign;
  std::string bytes;
  for (std::size_t at = 0; at < piece.size();) {
    if (piece.compare(at, sign.size(), sign) == 0) {
      if (!first || at > 0) bytes += ' ';
      at += sign.size();
    } else {
      bytes += piece[at++];
    }
  }
  return bytes;
}

std::string Tokenizer::decode(std::span<const std::int32_t> tokens, bool skip_special) const {
  std::string bytes;
  bool first = true;
  for (const std::int32_t token : tokens) {
    if (skip_special && special(token)) continue;
    bytes += bytes_of(token, first);
    first = false;
  }
  return bytes;
}

std::string TextStream::feed(std::int32_t token) {
  if (tokenizer_->special(token)) return "";
  // a stream goes on after a prompt, whose last word it may be a part of: its blank counts
  pending_ += tokenizer_->bytes_of(token, false);
  std::string whole;
  std::size_t at = 0;
  while (at < pending_.size()) {
    const Character c = character_at(pending_, at);
    if (!c.valid()) {
      // the beginning of a character whose rest may still come has room for it to be cut off
      const auto byte = static_cast<unsigned char>(pending_[at]);
      const std::size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2;
      bool open = byte >= 0xC2 && byte <= 0xF4 && pending_.size() - at < length;
      for (std::size_t i = at + 1; open && i < pending_.size(); ++i) {
        open = (static_cast<unsigned char>(pending_[i]) & 0xC0U) == 0x80U;
      }
      if (open) break;
    }
    append_utf8(whole, c.valid() ? c.code : 0xFFFD);
    at += c.length;
  }
  pending_.erase(0, at);
  return whole;
}

std::string TextStream::finish() {
  std::string rest;
  if (!pending_.empty()) append_utf8(rest, 0xFFFD);
  pending_.clear();
  return rest;
}

}  // namespace attn::models
