#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <random>

namespace attn::models {

/// Random numbers that are the same on every machine and with every standard library (whose
/// distributions differ): the 64-bit Mersenne Twister, which the standard fixes, and our own
/// distributions on it.
class Random {
 public:
  explicit Random(std::uint64_t seed) : bits_(seed) {}

  /// Uniform in [0, 1), 53 bits.
  double uniform() { return static_cast<double>(bits_() >> 11U) * 0x1p-53; }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Standard normal, by Box and Muller (1958).
  double normal() {
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }

 private:
  std::mt19937_64 bits_;
};

}  // namespace attn::models
