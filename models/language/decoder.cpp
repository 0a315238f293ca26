#include "models/language/decoder.hpp"

#include "attn/error.hpp"
#include "models/language/prompts.hpp"
#include "models/profile.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace attn::models {

using runtime::TensorView;
using runtime::ValueId;

Decoder::Decoder(const Metadata& metadata, std::span<const WeightSpec> specs,
                 const Weights& weights, DecoderOptions options)
    : config_(decoder_config(metadata, shapes_of(specs))), options_(std::move(options)) {
  values_ = build_decoder(graph_, config_, specs, dtype_of(options_.kv_type));
  std::vector<ValueId> fetches{values_.logits};
  for (const int layer : options_.attention_layers) {
    fetches.push_back(values_.attention.at(static_cast<std::size_t>(layer)));
  }
  runtime::SessionOptions session = options_.session;
  session.bounds = {options_.batch, options_.context, options_.context,
                    std::min(options_.batch, most_wanted)};
  session_ = std::make_unique<runtime::Session>(graph_, fetches, weights.bindings(graph_),
                                                std::move(session));
}

std::span<const float> Decoder::forward(std::span<const std::int32_t> tokens, int wanted) {
  const int count = static_cast<int>(tokens.size());
  if (tokens.empty() || count > options_.batch || position_ + count > options_.context ||
      wanted < 0 || wanted > std::min(count, most_wanted)) {
    throw Error(ErrorKind::usage, "decoder: " + std::to_string(count) + " tokens after " +
                                      std::to_string(position_) + ", in batches of " +
                                      std::to_string(options_.batch) + " and a context of " +
                                      std::to_string(options_.context));
  }
  check_tokens(tokens, config_.vocab, position_);
  const std::int64_t symbols[] = {count, position_ + count, options_.context, wanted};
  session_->resize(symbols);
  std::memcpy(session_->tensor(values_.tokens).data, tokens.data(), tokens.size_bytes());
  auto* const positions = session_->tensor(values_.positions).as<std::int32_t>();
  std::iota(positions, positions + count, position_);
  session_->run();
  position_ += count;
  const TensorView& logits = session_->tensor(values_.logits);
  return {logits.as<const float>(), static_cast<std::size_t>(logits.elements())};
}

std::span<const float> Decoder::attention(int layer) const {
  const TensorView& weights =
      session_->tensor(values_.attention.at(static_cast<std::size_t>(layer)));
  return {weights.as<const float>(), static_cast<std::size_t>(weights.elements())};
}

runtime::DType dtype_of(KvType type) noexcept {
  switch (type) {
    case KvType::bf16: return runtime::DType::bf16;
    case KvType::q8_0: return runtime::DType::q8_0;
    case KvType::f32: break;
  }
  return runtime::DType::f32;
}

std::vector<OpProfile> Decoder::profile() const {
  std::vector<OpProfile> rows;
  if (options_.session.profile) add_profile(rows, *session_);
  return rows;
}

}  // namespace attn::models
