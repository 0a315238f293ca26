#pragma once

#include "attn/attn.hpp"
#include "models/encoder_graph.hpp"
#include "models/weights.hpp"
#include "runtime/session.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace attn::models {

/// An encoder and its sessions. The weights outlive it. One thread at a time.
class Encoder {
 public:
  Encoder(const Metadata& metadata, std::span<const WeightSpec> specs, const Weights& weights,
          runtime::SessionOptions options);
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;

  /// Pooled and normalised as the model says, in the order of the texts. They are read shortest
  /// first, packed one after the other without padding, as many together as a bounded number of
  /// tokens takes. A text's numbers do not depend on the others but in the last bits. Throws
  /// Error(invalid) naming the text for one that is empty, too long, or has an unknown id.
  [[nodiscard]] Embeddings embed(std::span<const std::vector<std::int32_t>> texts,
                                 const OnProgress& progress);

  /// The attention weights [heads, tokens, tokens] of the layers for one text, one after the other.
  [[nodiscard]] std::vector<float> attention(std::span<const std::int32_t> tokens,
                                             std::span<const int> layers);

  [[nodiscard]] const EncoderConfig& config() const noexcept { return config_; }
  /// Of embed(), over all sessions that there were; empty unless SessionOptions::profile.
  [[nodiscard]] std::vector<OpProfile> profile() const;

 private:
  void check(std::span<const std::int32_t> tokens, std::size_t index) const;
  void make_room(std::int64_t tokens, std::int64_t bounds);
  void pool(std::span<const float> rows, float* to) const;

  EncoderConfig config_;
  std::vector<WeightSpec> specs_;
  const Weights* weights_;
  runtime::SessionOptions options_;
  runtime::Graph graph_;
  EncoderGraph values_;
  std::unique_ptr<runtime::Session> session_;  // of graph_, for the largest batch so far
  std::vector<OpProfile> earlier_;             // of sessions that were replaced
};

}  // namespace attn::models
