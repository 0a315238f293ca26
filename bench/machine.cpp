#include "bench/machine.hpp"

#include "bench/machine_levels.hpp"
#include "bench/machine_rate.hpp"
#include "kernels/dispatch.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <sys/mman.h>
#include <utility>

namespace attn::bench {
namespace {

using kernels::Isa;

// The baseline of x86-64 has no fused operation, and four lanes.
float arithmetic_loop_baseline(index_t steps, float factor) {
  using Four = float __attribute__((vector_size(16)));
  Four sums[arithmetic_chains];
  for (int u = 0; u < arithmetic_chains; ++u) sums[u] = Four{} + static_cast<float>(u);
  const Four scale = Four{} + factor, shift = Four{} + (1 - factor);
  for (index_t step = 0; step < steps; ++step) {
    for (Four& sum : sums) sum = sum * scale + shift;
  }
  for (int u = 1; u < arithmetic_chains; ++u) sums[0] += sums[u];
  return sums[0][0];
}

double measure_arithmetic(Isa isa, int threads) {
  auto* loop = arithmetic_loop_baseline;
  int lanes = 4;
  if (isa == Isa::avx2) {
    loop = avx2::arithmetic_loop;
    lanes = avx2::arithmetic_lanes();
  } else if (isa >= Isa::avx512) {
    loop = avx512::arithmetic_loop;
    lanes = avx512::arithmetic_lanes();
  }
  constexpr index_t steps = 10000;
  const double operations = 2.0 * arithmetic_chains * lanes * steps;
  return 1e-9 * best_rate(threads, operations, [&](index_t, index_t repeats) {
           benchmark::DoNotOptimize(loop(steps * repeats, 0.5F));
         });
}

using Copy = void (*)(index_t n, const float* from, float* to);
using Update = void (*)(index_t n, float* values);
using Read = float (*)(index_t n, const float* from);

void copy_bytes(index_t n, const float* from, float* to) {
  std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(float));
}

void update_baseline(index_t n, float* values) {
  for (index_t i = 0; i < n; ++i) values[i] = -values[i];
}

float read_baseline(index_t n, const float* from) {
  float sum = 0;
  for (index_t i = 0; i < n; ++i) sum += from[i];
  return sum;
}

template <class Version>
Version best_version(Version baseline, Version avx2, Version avx512) {
  return kernels::at_level(kernels::supported_isas().back(), baseline, avx2, avx512);
}

// Floats of a thread's share of `bytes`, in whole steps of the loops and whole cache lines.
index_t share(std::size_t bytes, int threads) {
  const auto floats = static_cast<index_t>(bytes / sizeof(float));
  return std::max<index_t>(kernels::round_up(floats / threads, 128), 128);
}

Floats ones(std::size_t count) {
  Floats all = huge_floats(count);
  all.assign(count, 1.0F);
  return all;
}

double measure_copy(std::size_t bytes, int threads, Copy copy) {
  const index_t n = share(bytes / 2, threads);
  // half a page apart, or loads would wait for stores whose address ends in the same twelve bits
  const index_t apart = kernels::round_up(n * threads, 1024) + 512;
  Floats both = ones(static_cast<std::size_t>(apart + n * threads));
  return 1e-9 * best_rate(threads, 2.0 * sizeof(float) * static_cast<double>(n),
                          [&](index_t thread, index_t repeats) {
                            float* const from = both.data() + thread * n;
                            for (index_t i = 0; i < repeats; ++i) {
                              copy(n, from, from + apart);
                              benchmark::ClobberMemory();
                            }
                          });
}

double measure_update(std::size_t bytes, int threads, Update update) {
  const index_t n = share(bytes, threads);
  Floats values = ones(static_cast<std::size_t>(n * threads));
  return 1e-9 * best_rate(threads, 2.0 * sizeof(float) * static_cast<double>(n),
                          [&](index_t thread, index_t repeats) {
                            for (index_t i = 0; i < repeats; ++i) {
                              update(n, values.data() + thread * n);
                              benchmark::ClobberMemory();
                            }
                          });
}

double measure_read(std::size_t bytes, int threads, Read read) {
  const index_t n = share(bytes, threads);
  const Floats from = ones(static_cast<std::size_t>(n * threads));
  return 1e-9 * best_rate(threads, sizeof(float) * static_cast<double>(n),
                          [&](index_t thread, index_t repeats) {
                            for (index_t i = 0; i < repeats; ++i) {
                              benchmark::DoNotOptimize(read(n, from.data() + thread * n));
                            }
                          });
}

// Smaller working sets have the limit of this one: all are in the L1 cache, and the loops' own
// overhead would count.
constexpr std::size_t smallest = 16384;

// measure(), or what it gave the first time that key was asked for.
template <class Key, class Measure>
double remembered(std::map<Key, double>& known, const Key& key, Measure measure) {
  const auto [at, fresh] = known.try_emplace(key, 0.0);
  if (fresh) at->second = measure();
  return at->second;
}

}  // namespace

double arithmetic_limit(Isa isa, int threads) {
  static std::map<std::pair<Isa, int>, double> known;
  return remembered(known, {isa, threads}, [&] { return measure_arithmetic(isa, threads); });
}

double copy_limit(std::size_t bytes, int threads) {
  bytes = std::max(bytes, smallest);
  static std::map<std::pair<std::size_t, int>, double> known;
  return remembered(known, {bytes, threads}, [&] {
    const Copy loop = best_version<Copy>(copy_bytes, avx2::copy_loop, avx512::copy_loop);
    return std::max(measure_copy(bytes, threads, copy_bytes), measure_copy(bytes, threads, loop));
  });
}

double update_limit(std::size_t bytes, int threads) {
  bytes = std::max(bytes, smallest);
  static std::map<std::pair<std::size_t, int>, double> known;
  return remembered(known, {bytes, threads}, [&] {
    return measure_update(
        bytes, threads,
        best_version<Update>(update_baseline, avx2::update_loop, avx512::update_loop));
  });
}

double read_limit(std::size_t bytes, int threads) {
  bytes = std::max(bytes, smallest);
  static std::map<std::pair<std::size_t, int>, double> known;
  return remembered(known, {bytes, threads}, [&] {
    return measure_read(bytes, threads,
                        best_version<Read>(read_baseline, avx2::read_loop, avx512::read_loop));
  });
}

}  // namespace attn::bench
