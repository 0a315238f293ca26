#include "models/language/batch_decoder.hpp"

#include "attn/error.hpp"
#include "kernels/attention/attention.hpp"
#include "models/language/prompts.hpp"

#include <algorithm>
#include <numeric>

namespace attn::models {

using runtime::TensorView;

BatchDecoder::BatchDecoder(const Metadata& metadata, std::span<const WeightSpec> specs,
                           const Weights& weights, BatchDecoderOptions options)
    : config_(decoder_config(metadata, shapes_of(specs))),
      options_(std::move(options)),
      lengths_(static_cast<std::size_t>(options_.slots)) {
  values_ = build_batch_decoder(graph_, config_, specs, dtype_of(options_.kv_type));
  runtime::SessionOptions session = options_.session;
  session.bounds = {options_.batch, options_.slots, options_.slots, options_.capacity,
                    options_.slots};
  session_ = std::make_unique<runtime::Session>(graph_, std::span(&values_.logits, 1),
                                                weights.bindings(graph_), std::move(session));
}

std::int64_t BatchDecoder::checked(std::span<const Piece> pieces) const {
  std::int64_t count = 0;
  std::vector<bool> taken(lengths_.size());
  for (const Piece& piece : pieces) {
    const auto slot = static_cast<std::size_t>(piece.slot);
    count += std::ssize(piece.tokens);
    if (piece.slot < 0 || slot >= lengths_.size() || taken[slot] || piece.tokens.empty() ||
        lengths_[slot] + std::ssize(piece.tokens) > options_.capacity || count > options_.batch) {
      throw Error(ErrorKind::usage, "decoder: " + std::to_string(piece.tokens.size()) +
                                        " tokens for slot " + std::to_string(piece.slot) +
                                        ", in batches of " + std::to_string(options_.batch) +
                                        " and " + std::to_string(options_.slots) + " slots of " +
                                        std::to_string(options_.capacity));
    }
    taken[slot] = true;
    check_tokens(piece.tokens, config_.vocab, lengths_[slot]);
  }
  return count;
}

std::span<const float> BatchDecoder::forward(std::span<const Piece> pieces) {
  const std::int64_t count = checked(pieces);
  const auto wanted =
      std::count_if(pieces.begin(), pieces.end(), [](const Piece& piece) { return piece.wanted; });
  const std::int64_t symbols[] = {count, std::ssize(pieces), options_.slots, options_.capacity,
                                  wanted};
  session_->resize(symbols);
  auto* const tokens = session_->tensor(values_.tokens).as<std::int32_t>();
  auto* const positions = session_->tensor(values_.positions).as<std::int32_t>();
  auto* const runs = session_->tensor(values_.runs).as<kernels::CacheRun>();
  auto* rows = session_->tensor(values_.rows).as<std::int32_t>();
  std::int32_t first = 0;
  for (std::size_t p = 0; p < pieces.size(); ++p) {
    const Piece& piece = pieces[p];
    const int before = lengths_[static_cast<std::size_t>(piece.slot)];
    const auto length = static_cast<std::int32_t>(piece.tokens.size());
    std::copy(piece.tokens.begin(), piece.tokens.end(), tokens + first);
    std::iota(positions + first, positions + first + length, before);
    runs[p] = {first, length, piece.slot, before + length};
    first += length;
    if (piece.wanted) *rows++ = first - 1;
  }
  session_->run();
  for (const Piece& piece : pieces) {
    lengths_[static_cast<std::size_t>(piece.slot)] += static_cast<int>(piece.tokens.size());
  }
  const TensorView& logits = session_->tensor(values_.logits);
  return {logits.as<const float>(), static_cast<std::size_t>(logits.elements())};
}

}  // namespace attn::models
