#pragma once

#include "attn/generator.hpp"
#include "models/decoder_graph.hpp"
#include "models/weights.hpp"
#include "runtime/session.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace attn::models {

/// Logits that one forward() gives at most: those of a large vocabulary are 0.6 MB each.
inline constexpr int most_wanted = 64;

struct DecoderOptions {
  int context = 0;                    ///< tokens that there is room for
  int batch = 0;                      ///< tokens of one forward() at most
  KvType kv_type = KvType::f32;       ///< of the cache
  std::vector<int> attention_layers;  ///< whose weights are handed out
  runtime::SessionOptions session;    ///< bounds are filled in
};

/// A language model with what it has read: one graph, one session, keys and values of every layer.
/// The weights outlive it. One thread at a time.
class Decoder {
 public:
  /// Throws Error(memory) if cache and work space exceed the session's memory limit, Error(usage)
  /// if the cache's type does not divide the model's heads.
  Decoder(const Metadata& metadata, std::span<const WeightSpec> specs, const Weights& weights,
          DecoderOptions options);
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  /// Reads the tokens after those before, 1 to `batch`, and gives the logits [wanted, vocab] of the
  /// last `wanted` of them, 0 to min(most_wanted, tokens); valid until the next call. For 1 to 8
  /// tokens a token's bits do not depend on how many are read with it. Throws Error(usage) if the
  /// room does not suffice, Error(invalid) for an unknown id; nothing is read then.
  std::span<const float> forward(std::span<const std::int32_t> tokens, int wanted);

  /// The weights [heads, tokens, position()] of the last forward() in one of the attention layers.
  [[nodiscard]] std::span<const float> attention(int layer) const;

  /// Tokens read so far.
  [[nodiscard]] int position() const noexcept { return position_; }
  /// Forgets all from `position` (≤ position()) on.
  void rewind(int position) noexcept { position_ = position; }

  [[nodiscard]] std::int64_t vocab_size() const noexcept { return config_.vocab; }
  [[nodiscard]] const DecoderConfig& config() const noexcept { return config_; }
  [[nodiscard]] std::vector<OpProfile> profile() const;
  [[nodiscard]] const runtime::MemoryReport& memory() const { return session_->memory(); }

 private:
  DecoderConfig config_;
  DecoderOptions options_;
  runtime::Graph graph_;
  DecoderGraph values_;
  std::unique_ptr<runtime::Session> session_;
  int position_ = 0;
};

/// The tensor type of a cache.
[[nodiscard]] runtime::DType dtype_of(KvType type) noexcept;

}  // namespace attn::models
