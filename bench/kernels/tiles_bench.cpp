#include "bench/report.hpp"
#include "kernels/matmul/projections.hpp"
#include "kernels/tiles/tiles.hpp"

#include <cstring>
#include <string>

namespace attn::bench {
namespace {

using kernels::index_t;
using kernels::WeightType;

// Few rows against weights in tiles, as in a decode step: columns that are a whole number of every
// format's blocks.
constexpr index_t k = 768;

void tiles(benchmark::State& state, WeightType type) {
  const index_t m = state.range(0), mib = state.range(1);
  const auto threads = static_cast<int>(state.range(2));
  const index_t band = kernels::tile_band_bytes(type, k), bands = (mib << 20) / band;
  const index_t n = bands * kernels::tile_rows;
  if (!kernels::projects(isa(), m)) return state.SkipWithError("needs AVX2");

  // what is read ahead ends within it
  Floats weights = huge_floats(static_cast<std::size_t>(bands * band / 4 + 4096));
  weights.resize(weights.capacity());
  std::memset(weights.data(), 0x22, weights.size() * sizeof(float));  // small in every format
  const Floats a = random_floats(static_cast<std::size_t>(m * k));
  Floats c(static_cast<std::size_t>(m * n));
  kernels::Workers& pool = workers(threads);
  Floats scratch(kernels::projections_scratch_bytes(isa(), threads, m, k, false) / 4);

  kernels::Projection one;
  one.weights.type = type;
  one.weights.tiles = weights.data();
  one.n = n;
  one.c = c.data();
  one.stride_c = n;
  kernels::Projections all;
  all.m = m;
  all.k = k;
  all.a = {a.data(), k, 1};
  all.each = {&one, 1};
  all.scratch = scratch.data();
  Meter meter(state);
  for (auto _ : state) {
    kernels::project(isa(), pool, all);
    benchmark::ClobberMemory();
  }
  meter.bytes({static_cast<double>(bands * band), 4.0 * static_cast<double>(m * n), threads});
  state.counters["tile"] = benchmark::Counter(
      static_cast<double>(bands * k / kernels::tile_columns),
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

// weights that stay in L2, and as many as a small model has
void sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"rows", "MiB", "threads"})->UseRealTime();
  for (const int rows : {1, 8, 16}) b->Args({rows, 1, 1})->Args({rows, 96, 1})->Args({rows, 96, 2});
}
BENCHMARK_CAPTURE(tiles, q4_0, WeightType::q4_0)->Apply(sizes);
BENCHMARK_CAPTURE(tiles, q4_1, WeightType::q4_1)->Apply(sizes);
BENCHMARK_CAPTURE(tiles, q8_0, WeightType::q8_0)->Apply(sizes);
BENCHMARK_CAPTURE(tiles, q4_k, WeightType::q4_k)->Apply(sizes);
BENCHMARK_CAPTURE(tiles, q6_k, WeightType::q6_k)->Apply(sizes);
BENCHMARK_CAPTURE(tiles, bf16, WeightType::bf16)->Apply(sizes);

}  // namespace
}  // namespace attn::bench
