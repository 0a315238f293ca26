#pragma once

#include "models/decoder_graph.hpp"
#include "models/language/decoder.hpp"
#include "models/weights.hpp"
#include "runtime/session.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace attn::models {

struct BatchDecoderOptions {
  int slots = 0;                    ///< sequences at once, 1 to most_wanted
  int capacity = 0;                 ///< tokens of each that there is room for
  int batch = 0;                    ///< tokens of one forward() at most, at least `slots`
  KvType kv_type = KvType::f32;     ///< of the cache
  runtime::SessionOptions session;  ///< bounds are filled in
};

/// A language model with what it has read of several sequences at once. The weights outlive it. One
/// thread at a time.
class BatchDecoder {
 public:
  /// Tokens that a sequence goes on with.
  struct Piece {
    int slot = 0;
    std::span<const std::int32_t> tokens;
    bool wanted = false;  ///< the logits after the last of them
  };

  /// Throws what Decoder throws.
  BatchDecoder(const Metadata& metadata, std::span<const WeightSpec> specs, const Weights& weights,
               BatchDecoderOptions options);
  BatchDecoder(const BatchDecoder&) = delete;
  BatchDecoder& operator=(const BatchDecoder&) = delete;

  /// Reads each piece after what its slot holds, and gives the logits [wanted pieces, vocab] in the
  /// order of the pieces, valid until the next call. A slot occurs once; its tokens are at least 1
  /// and within its capacity, all together within `batch`. Throws Error(usage) otherwise,
  /// Error(invalid) for an unknown id; nothing is read then.
  std::span<const float> forward(std::span<const Piece> pieces);

  /// Forgets what a slot holds.
  void clear(int slot) { lengths_.at(static_cast<std::size_t>(slot)) = 0; }

  [[nodiscard]] std::int64_t vocab_size() const noexcept { return config_.vocab; }

 private:
  [[nodiscard]] std::int64_t checked(std::span<const Piece> pieces) const;

  DecoderConfig config_;
  BatchDecoderOptions options_;
  runtime::Graph graph_;
  DecoderGraph values_;
  std::unique_ptr<runtime::Session> session_;
  std::vector<int> lengths_;  // of what the slots hold
};

}  // namespace attn::models
