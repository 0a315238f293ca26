#include "kernels/rope/rope.hpp"

#include "kernels/dispatch.hpp"
#include "kernels/rope/rope_levels.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>

namespace attn::kernels {
namespace {

// 64 KiB of floats a chunk: enough work to be worth a hand-over between threads
constexpr index_t grain = 16384;

}  // namespace

template <class T>
void rope_table(index_t count, const std::int32_t* positions, std::span<const double> frequencies,
                RopeLayout layout, T* table) {
  const auto pairs = static_cast<index_t>(frequencies.size());
  const bool half = layout == RopeLayout::half;
  for (index_t t = 0; t < count; ++t) {
    T* const cosines = table + t * 4 * pairs;
    T* const sines = cosines + 2 * pairs;
    for (index_t p = 0; p < pairs; ++p) {
      const double angle = positions[t] * frequencies[static_cast<std::size_t>(p)];
      const index_t i = half ? p : 2 * p, j = half ? p + pairs : 2 * p + 1;
      cosines[i] = cosines[j] = static_cast<T>(std::cos(angle));
      sines[j] = static_cast<T>(std::sin(angle));
      sines[i] = -sines[j];
    }
  }
}

template <class T>
void rope(Isa isa, Workers& workers, const RopeArgs<T>& args) {
  RopeRun<T> run = scalar::rope<T>;
  if constexpr (std::is_same_v<T, float>) {
    run = at_level<RopeRun<float>>(isa, run, avx2::rope, avx512::rope);
  }
  const index_t width = std::max<index_t>(1, args.heads * args.head_dim);
  const index_t rows = std::max<index_t>(1, grain / width);
  parallel_for(workers, ceil_div(args.tokens, rows), [&](index_t chunk, int) {
    run(args, chunk * rows, std::min(args.tokens, (chunk + 1) * rows));
  });
}

template void rope_table(index_t, const std::int32_t*, std::span<const double>, RopeLayout, float*);
template void rope_table(index_t, const std::int32_t*, std::span<const double>, RopeLayout,
                         double*);
template void rope(Isa, Workers&, const RopeArgs<float>&);
template void rope(Isa, Workers&, const RopeArgs<double>&);

}  // namespace attn::kernels
