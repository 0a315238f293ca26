#include "kernels/elementwise/dropout.hpp"

#include "kernels/dispatch.hpp"
#include "kernels/elementwise/dropout_levels.hpp"

#include <algorithm>
#include <type_traits>

namespace attn::kernels {
namespace {

// 64 KiB of floats a chunk: enough work to be worth a hand-over between threads. A power of two, so
// that no chunk crosses a multiple of 2^32.
constexpr index_t grain = 16384;

// The finalizer of SplitMix64 (Steele, Lea & Flood 2014).
std::uint64_t scrambled64(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

}  // namespace

template <class T>
void dropout(Isa isa, Workers& workers, double rate, std::uint64_t seed, std::int32_t counter,
             index_t n, const T* x, T* y) {
  DropoutRun<T> run = scalar::dropout<T>;
  if constexpr (std::is_same_v<T, float>) {
    run = at_level<DropoutRun<float>>(isa, run, avx2::dropout, avx512::dropout);
  }
  const std::uint64_t drawn = scrambled64(scrambled64(seed) + static_cast<std::uint32_t>(counter));
  const auto scale = static_cast<T>(1 / (1 - rate));
  parallel_for(workers, ceil_div(n, grain), [&](index_t chunk, int) {
    const index_t at = chunk * grain;
    DropoutKey key;
    key.first = static_cast<std::uint32_t>(drawn);
    key.second = static_cast<std::uint32_t>(drawn >> 32) +
                 scrambled(static_cast<std::uint32_t>(static_cast<std::uint64_t>(at) >> 32));
    key.begin = static_cast<std::uint32_t>(at);
    key.least = static_cast<std::uint32_t>(rate * 4294967296.0);  // rate · 2^32, below 2^32
    run(key, scale, std::min(grain, n - at), x + at, y + at);
  });
}

template void dropout(Isa, Workers&, double, std::uint64_t, std::int32_t, index_t, const float*,
                      float*);
template void dropout(Isa, Workers&, double, std::uint64_t, std::int32_t, index_t, const double*,
                      double*);

}  // namespace attn::kernels
