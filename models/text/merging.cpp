// Byte-pair encoding (Sennrich et al. 2016): the pair of neighbours that is merged next is the one
// of the lowest rank, or of the highest score, the leftmost of equals. Neighbours are a linked list
// and candidates a heap, so that long pieces cost n log n.

#include "attn/error.hpp"
#include "models/text/piece_index.hpp"
#include "models/text/segmenter.hpp"
#include "models/text/unicode.hpp"
#include "runtime/formats/text.hpp"

#include <algorithm>
#include <queue>
#include <unordered_map>

namespace attn::models {
namespace {

struct Symbol {
  std::uint32_t begin = 0, length = 0;  // bytes of the piece
  std::int32_t token = -1;              // −1: no piece of the vocabulary
  std::int32_t previous = -1, next = -1;
};

struct Candidate {
  double order = 0;  // the least is merged first
  std::int32_t left = 0, right = 0;
  std::uint32_t length = 0;  // of both: tells a candidate whose sides have changed
  std::int32_t token = -1;

  friend bool operator<(const Candidate& a, const Candidate& b) {
    return a.order > b.order || (a.order == b.order && a.left > b.left);  // for a max-heap
  }
};

class Merging final : public Segmenter {
 public:
  Merging(const TokenizerSpec& spec, const std::string& name)
      : spec_(&spec), index_(texts_of(spec)), bytes_(byte_tokens(spec)) {
    if (spec.model == TokenizerModel::scored) return;
    merges_.reserve(spec.merges.size());
    for (std::size_t rank = 0; rank < spec.merges.size(); ++rank) {
      const auto [left, right] = spec.merges[rank];
      const std::string whole = text(spec, left) + text(spec, right);
      const std::int32_t token = index_.find(whole);
      if (token < 0) {
        throw Error(ErrorKind::invalid, name + ": merge " + std::to_string(rank) + " makes " +
                                            runtime::quote(whole) +
                                            ", which is no piece of the vocabulary");
      }
      merges_.emplace(pair(left, right), Merge{static_cast<std::int32_t>(rank), token});
    }
  }

  void segment(std::string_view piece, std::vector<std::int32_t>& to) const override {
    if (piece.empty()) return;
    if (spec_->ignore_merges || piece.size() == 1) {
      const std::int32_t whole = index_.find(piece);
      if (whole >= 0) return to.push_back(whole);
    }
    std::vector<Symbol> symbols = split(piece);
    std::priority_queue<Candidate> queue;
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      offer(piece, symbols, static_cast<std::int32_t>(i), queue);
    }
    while (!queue.empty()) {
      const Candidate best = queue.top();
      queue.pop();
      Symbol& left = symbols[static_cast<std::size_t>(best.left)];
      Symbol& right = symbols[static_cast<std::size_t>(best.right)];
      if (left.length == 0 || right.length == 0 || left.next != best.right ||
          left.length + right.length != best.length) {
        continue;
      }
      left.length += right.length;
      left.token = best.token;
      left.next = right.next;
      right.length = 0;
      if (left.next >= 0) symbols[static_cast<std::size_t>(left.next)].previous = best.left;
      if (left.previous >= 0) offer(piece, symbols, left.previous, queue);
      if (left.next >= 0) offer(piece, symbols, best.left, queue);
    }
    bool was_unknown = false;
    for (std::int32_t i = 0; i >= 0; i = symbols[static_cast<std::size_t>(i)].next) {
      const Symbol& symbol = symbols[static_cast<std::size_t>(i)];
      if (symbol.token >= 0) {
        to.push_back(symbol.token);
        was_unknown = false;
        continue;
      }
      const std::string_view text = piece.substr(symbol.begin, symbol.length);
      if (spec_->byte_fallback && append_byte_tokens(bytes_, text, to)) continue;
      if (spec_->unknown && !was_unknown) to.push_back(*spec_->unknown);
      was_unknown = true;
    }
  }

 private:
  struct Merge {
    std::int32_t rank, token;
  };

  static std::uint64_t pair(std::int32_t left, std::int32_t right) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
           static_cast<std::uint32_t>(right);
  }
  static std::string text(const TokenizerSpec& spec, std::int32_t token) {
    const std::string& piece = spec.pieces[static_cast<std::size_t>(token)];
    return spec.byte_level ? piece_bytes(piece) : piece;
  }
  static std::vector<std::string> texts_of(const TokenizerSpec& spec) {
    std::vector<std::string> texts;
    texts.reserve(spec.pieces.size());
    for (std::size_t i = 0; i < spec.pieces.size(); ++i) {
      texts.push_back(text(spec, static_cast<std::int32_t>(i)));
    }
    return texts;
  }

  // Bytes, or characters.
  [[nodiscard]] std::vector<Symbol> split(std::string_view piece) const {
    std::vector<Symbol> symbols;
    symbols.reserve(piece.size());
    for (std::size_t at = 0; at < piece.size();) {
      const std::size_t length = spec_->byte_level ? 1 : character_at(piece, at).length;
      Symbol symbol;
      symbol.begin = static_cast<std::uint32_t>(at);
      symbol.length = static_cast<std::uint32_t>(length);
      symbol.token = index_.find(piece.substr(at, length));
      symbol.previous = static_cast<std::int32_t>(symbols.size()) - 1;
      at += length;
      symbol.next = at < piece.size() ? static_cast<std::int32_t>(symbols.size()) + 1 : -1;
      symbols.push_back(symbol);
    }
    return symbols;
  }

  // The merge of a symbol with the next one, if there is one.
  void offer(std::string_view piece, const std::vector<Symbol>& symbols, std::int32_t at,
             std::priority_queue<Candidate>& queue) const {
    const Symbol& left = symbols[static_cast<std::size_t>(at)];
    const Symbol& right = symbols[static_cast<std::size_t>(left.next)];
    Candidate candidate;
    candidate.left = at;
    candidate.right = left.next;
    candidate.length = left.length + right.length;
    if (spec_->model == TokenizerModel::scored) {
      if (candidate.length > index_.longest()) return;
      candidate.token = index_.find(piece.substr(left.begin, candidate.length));
      if (candidate.token < 0) return;
      candidate.order = -spec_->scores[static_cast<std::size_t>(candidate.token)];
    } else {
      if (left.token < 0 || right.token < 0) return;
      const auto merge = merges_.find(pair(left.token, right.token));
      if (merge == merges_.end()) return;
      candidate.token = merge->second.token;
      candidate.order = merge->second.rank;
    }
    queue.push(candidate);
  }

  const TokenizerSpec* spec_;
  PieceIndex index_;
  std::vector<std::int32_t> bytes_;
  std::unordered_map<std::uint64_t, Merge> merges_;
};

}  // namespace

std::unique_ptr<const Segmenter> make_merging(const TokenizerSpec& spec, const std::string& name) {
  return std::make_unique<Merging>(spec, name);
}

}  // namespace attn::models
