#pragma once

#include "attn/text.hpp"
#include "models/random.hpp"

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace attn::models {

/// Chooses tokens. The steps, in llama.cpp's order: the repeat penalty (Keskar et al. 2019:
/// positive logits of recent tokens are divided, negative ones multiplied), the k likeliest, the
/// likeliest that reach p together (Holtzman et al. 2019), those above a share of the likeliest
/// (Nguyen et al. 2024), the temperature, and one drawn by what is left.
class Sampler {
 public:
  /// Throws Error(usage) for a number out of range.
  explicit Sampler(const Sampling& options);

  /// The next token after `recent` (all tokens so far; the last repeat_window count). Of equal
  /// logits the lowest id is the likeliest. Throws Error(numerical) if a logit is NaN or all are
  /// −inf.
  [[nodiscard]] std::int32_t sample(std::span<const float> logits,
                                    std::span<const std::int32_t> recent);

 private:
  struct Candidate {
    float logit;
    std::int32_t token;
  };
  void penalize(std::span<const std::int32_t> recent);
  double keep_likeliest();

  Sampling options_;
  Random random_;
  std::vector<float> logits_;
  std::vector<Candidate> candidates_;
  std::vector<double> weights_;
};

}  // namespace attn::models
