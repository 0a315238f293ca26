#include "models/text/segmenter.hpp"

#include "attn/error.hpp"
#include "models/text/piece_index.hpp"
#include "models/text/unicode.hpp"
#include "runtime/formats/text.hpp"

#include <algorithm>
#include <charconv>

namespace attn::models {

PieceIndex::PieceIndex(const std::vector<std::string>& texts) {
  std::size_t bytes = 0;
  for (const std::string& text : texts) bytes += text.size();
  buffer_.reserve(bytes);
  ids_.reserve(texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::size_t at = buffer_.size();
    buffer_ += texts[i];
    longest_ = std::max(longest_, texts[i].size());
    ids_.emplace(std::string_view(buffer_).substr(at, texts[i].size()),
                 static_cast<std::int32_t>(i));
  }
}

std::string piece_bytes(std::string_view piece) {
  std::string bytes;
  for (std::size_t at = 0; at < piece.size();) {
    const Character c = character_at(piece, at);
    const int byte = character_byte(c.code);
    if (byte < 0) return std::string(piece);
    bytes += static_cast<char>(byte);
    at += c.length;
  }
  return bytes;
}

int fallback_byte(std::string_view piece) noexcept {
  constexpr std::size_t length = 6;  // <0xXX>
  if (piece.size() != length || !piece.starts_with("<0x") || piece.back() != '>') return -1;
  int byte = 0;
  const char* const end = piece.data() + 5;
  const auto [stop, error] = std::from_chars(piece.data() + 3, end, byte, 16);
  return error == std::errc{} && stop == end && byte >= 0 ? byte : -1;
}

std::vector<std::int32_t> byte_tokens(const TokenizerSpec& spec) {
  std::vector<std::int32_t> tokens(256, -1);
  for (std::size_t i = 0; i < spec.pieces.size(); ++i) {
    const int byte = fallback_byte(spec.pieces[i]);
    if (byte >= 0) tokens[static_cast<std::size_t>(byte)] = static_cast<std::int32_t>(i);
  }
  return tokens;
}

bool append_byte_tokens(const std::vector<std::int32_t>& byte_tokens, std::string_view text,
                        std::vector<std::int32_t>& to) {
  const auto token = [&](char c) { return byte_tokens[static_cast<unsigned char>(c)]; };
  if (std::any_of(text.begin(), text.end(), [&](char c) { return token(c) < 0; })) return false;
  for (const char c : text) to.push_back(token(c));
  return true;
}

namespace {

// BERT's greedy longest match from the left.
class WordPiece final : public Segmenter {
 public:
  explicit WordPiece(const TokenizerSpec& spec) : spec_(&spec), index_(spec.pieces) {}

  void segment(std::string_view word, std::vector<std::int32_t>& to) const override {
    const std::size_t begin = to.size();
    if (characters(word) > spec_->longest_word) return unknown(to, begin);
    std::string candidate;
    for (std::size_t at = 0; at < word.size();) {
      const std::string prefix = at == 0 ? "" : spec_->continuing_prefix;
      std::size_t end = std::min(word.size(), at + index_.longest());
      std::int32_t token = -1;
      for (; end > at; --end) {
        if (end < word.size() && (static_cast<unsigned char>(word[end]) & 0xC0U) == 0x80U) continue;
        candidate = prefix;
        candidate += word.substr(at, end - at);
        token = index_.find(candidate);
        if (token >= 0) break;
      }
      if (token < 0) return unknown(to, begin);
      to.push_back(token);
      at = end;
    }
  }

 private:
  static std::int64_t characters(std::string_view word) {
    std::int64_t count = 0;
    for (std::size_t at = 0; at < word.size(); at += character_at(word, at).length) ++count;
    return count;
  }
  void unknown(std::vector<std::int32_t>& to, std::size_t begin) const {
    to.resize(begin);
    if (spec_->unknown) to.push_back(*spec_->unknown);
  }

  const TokenizerSpec* spec_;
  PieceIndex index_;
};

// The segmentation with the largest sum of scores (Kudo 2018), by dynamic programming.
class Unigram final : public Segmenter {
 public:
  explicit Unigram(const TokenizerSpec& spec)
      : spec_(&spec), index_(spec.pieces), bytes_(byte_tokens(spec)) {
    const auto least = std::min_element(spec.scores.begin(), spec.scores.end());
    // as SentencePiece: an unknown character costs ten more than the rarest piece
    constexpr double penalty = 10;
    unknown_score_ = (least == spec.scores.end() ? 0.0 : *least) - penalty;
  }

  void segment(std::string_view text, std::vector<std::int32_t>& to) const override {
    struct Best {
      double score = 0;
      std::size_t from = 0;
      std::int32_t token = -1;
      bool reached = false;
    };
    std::vector<Best> best(text.size() + 1);
    best[0].reached = true;
    for (std::size_t at = 0; at < text.size(); at += character_at(text, at).length) {
      if (!best[at].reached) continue;
      const auto offer = [&](std::size_t end, std::int32_t token, double score) {
        const double total = best[at].score + score;
        if (!best[end].reached || total > best[end].score) best[end] = {total, at, token, true};
      };
      const std::size_t one = at + character_at(text, at).length;
      bool single = false;
      for (std::size_t end = one; end <= text.size() && end - at <= index_.longest();) {
        const std::int32_t token = index_.find(text.substr(at, end - at));
        if (token >= 0 && token != spec_->unknown) {
          offer(end, token, spec_->scores[static_cast<std::size_t>(token)]);
          single = single || end == one;
        }
        if (end == text.size()) break;
        end += character_at(text, end).length;
      }
      if (!single) offer(one, -1, unknown_score_);
    }
    std::vector<std::pair<std::size_t, std::size_t>> pieces;
    for (std::size_t end = text.size(); end > 0; end = best[end].from) {
      pieces.emplace_back(best[end].from, end);
    }
    bool was_unknown = false;
    for (std::size_t i = pieces.size(); i-- > 0;) {
      const auto [from, end] = pieces[i];
      const std::int32_t token = best[end].token;
      if (token >= 0) {
        to.push_back(token);
      } else if (spec_->byte_fallback &&
                 append_byte_tokens(bytes_, text.substr(from, end - from), to)) {
        was_unknown = false;
        continue;
      } else if (spec_->unknown && !was_unknown) {
        to.push_back(*spec_->unknown);  // neighbours that are unknown are one token
      }
      was_unknown = token < 0;
    }
  }

 private:
  const TokenizerSpec* spec_;
  PieceIndex index_;
  std::vector<std::int32_t> bytes_;
  double unknown_score_ = 0;
};

}  // namespace

std::unique_ptr<const Segmenter> make_segmenter(const TokenizerSpec& spec,
                                                const std::string& name) {
  switch (spec.model) {
    case TokenizerModel::wordpiece: return std::make_unique<WordPiece>(spec);
    case TokenizerModel::unigram: return std::make_unique<Unigram>(spec);
    default: return make_merging(spec, name);
  }
}

}  // namespace attn::models
