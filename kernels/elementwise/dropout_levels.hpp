#pragma once

#include "kernels/types.hpp"

#include <cstdint>

namespace attn::kernels {

/// What decides about a chunk's elements.
struct DropoutKey {
  std::uint32_t first = 0, second = 0;  ///< made of seed, counter and the upper half of the index
  std::uint32_t begin = 0;              ///< the lower half of the first element's index
  std::uint32_t least = 0;              ///< hashes from here on keep their element
};

/// A bijection in which every bit of x changes half of the result's (C. Wellons, "lowbias32").
[[gnu::always_inline]] constexpr std::uint32_t scrambled(std::uint32_t x) {
  x ^= x >> 16;
  x *= 0x7feb352dU;
  x ^= x >> 15;
  x *= 0x846ca68bU;
  return x ^ (x >> 16);
}

/// Twice, with half of the key each: with one half alone, what two keys drop would be the same in
/// another order. Always inlined: the objects of several ISA levels use it and may share no symbol.
[[gnu::always_inline]] constexpr bool is_kept(const DropoutKey& key, std::uint32_t i) {
  return scrambled(scrambled((key.begin + i) ^ key.first) ^ key.second) >= key.least;
}

/// A chunk on the caller's thread; a version at every level.
template <class T>
using DropoutRun = void (*)(const DropoutKey& key, T scale, index_t n, const T* x, T* y);

namespace scalar {
template <class T>
void dropout(const DropoutKey& key, T scale, index_t n, const T* x, T* y);
}
namespace avx2 {
void dropout(const DropoutKey& key, float scale, index_t n, const float* x, float* y);
}
namespace avx512 {
void dropout(const DropoutKey& key, float scale, index_t n, const float* x, float* y);
}

}  // namespace attn::kernels
