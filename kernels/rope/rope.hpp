#pragma once

#include "kernels/isa.hpp"
#include "kernels/workers.hpp"

#include <cstdint>
#include <span>

namespace attn::kernels {

/// Rotary position embedding (Su et al. 2021): pairs of a head's numbers are turned by an angle
/// that grows with the token's position. Which numbers are a pair:
enum class RopeLayout {
  half,         ///< i and i + rotary/2 (GPT-NeoX, Hugging Face)
  interleaved,  ///< 2i and 2i + 1 (the paper; llama's weights in GGUF files)
};

/// The table of angles for `count` positions: table[t] = [rotary cosines, rotary sines], as y = x ·
/// cos + partner(x) · sin uses them, so the sine of a pair's first number is negative. frequencies:
/// rotary/2 angles a position. Angles are reduced in float64: at position 100,000 the table is as
/// exact as at 1.
template <class T>
void rope_table(index_t count, const std::int32_t* positions, std::span<const double> frequencies,
                RopeLayout layout, T* table);

/// y = x turned, over `tokens` rows of `heads` heads side by side; the first `rotary` (even)
/// numbers of each head are turned, the others copied. x has rows of `stride` elements, y is
/// contiguous. y may be x where its rows are contiguous too. `inverse` turns back: the gradient of
/// the forward direction. Each number within 1.5 ULP of the two products' magnitude.
template <class T>
struct RopeArgs {
  index_t tokens = 0, heads = 1, head_dim = 0, rotary = 0;
  RopeLayout layout = RopeLayout::half;
  bool inverse = false;
  const T* x = nullptr;
  index_t stride = 0;
  const T* table = nullptr;  ///< [tokens, 2 · rotary]
  T* y = nullptr;
};

template <class T>
void rope(Isa isa, Workers& workers, const RopeArgs<T>& args);

}  // namespace attn::kernels
