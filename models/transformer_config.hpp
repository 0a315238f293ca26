#pragma once

#include "kernels/elementwise/elementwise.hpp"
#include "kernels/rope/rope.hpp"
#include "models/architecture.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace attn::models {

/// The parameters of a decoder-only language model (llama, qwen2), checked.
struct DecoderConfig {
  std::int64_t vocab = 0, hidden = 0, intermediate = 0, context = 0;
  int layers = 0, heads = 0, kv_heads = 0, head_dim = 0;
  int window = 0;  ///< of sliding attention; 0: none
  double eps = 0;
  std::vector<double> rope_frequencies;  ///< [head_dim / 2] radians a position
  kernels::RopeLayout rope_layout = kernels::RopeLayout::half;
};

/// Throws Error(invalid) naming the key: heads 0, a width that does not divide into heads where no
/// head_dim is given, more key/value heads than heads or no divisor, an odd head_dim, more layers
/// than any model has, an unknown layout or scaling.
[[nodiscard]] DecoderConfig decoder_config(const Metadata& metadata, const Shapes& have);

/// The same of an encoder (bert).
struct EncoderConfig {
  std::int64_t vocab = 0, hidden = 0, intermediate = 0, positions = 0, token_types = 0;
  int layers = 0, heads = 0;
  double eps = 0;
  kernels::Unary activation = kernels::Unary::gelu;
  enum class Pooling { mean, cls } pooling = Pooling::mean;
  bool normalize = true;
  std::int64_t longest = 0;  ///< tokens that text is truncated to
};

[[nodiscard]] EncoderConfig encoder_config(const Metadata& metadata, const Shapes& have);

}  // namespace attn::models
