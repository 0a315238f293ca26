#include "bench/report.hpp"
#include "kernels/softmax/softmax.hpp"

#include <cstring>

namespace attn::bench {
namespace {

using kernels::index_t;

void softmax(benchmark::State& state, bool causal) {
  const index_t rows = state.range(0), cols = state.range(1);
  const auto threads = static_cast<int>(state.range(2));
  const auto elements = static_cast<std::size_t>(rows * cols);
  const Floats x = random_floats(elements);
  Floats y(elements);
  kernels::SoftmaxArgs<float> args;
  args.rows = rows;
  args.cols = args.stride_x = args.stride_y = cols;
  args.x = x.data();
  args.y = y.data();
  args.causal = causal;
  args.causal_rows = cols;
  kernels::Workers& pool = workers(threads);
  Meter meter(state);
  for (auto _ : state) {
    kernels::softmax(isa(), pool, args);
    benchmark::ClobberMemory();
  }
  const double bytes = 4.0 * static_cast<double>(elements);
  meter.bytes({bytes, bytes, threads});
}

// The same arrays copied, cut as softmax cuts them: what the memory allows.
void copy(benchmark::State& state) {
  const index_t rows = state.range(0), cols = state.range(1);
  const auto threads = static_cast<int>(state.range(2));
  const auto elements = static_cast<std::size_t>(rows * cols);
  const Floats x = random_floats(elements);
  Floats y(elements);
  kernels::Workers& pool = workers(threads);
  Meter meter(state);
  for (auto _ : state) {
    constexpr index_t grain = 131072;
    kernels::parallel_for(pool, kernels::ceil_div(rows * cols, grain), [&](index_t chunk, int) {
      const index_t at = chunk * grain, rest = rows * cols - at;
      std::memcpy(y.data() + at, x.data() + at,
                  sizeof(float) * static_cast<std::size_t>(rest < grain ? rest : grain));
    });
    benchmark::ClobberMemory();
  }
  const double bytes = 4.0 * static_cast<double>(elements);
  meter.bytes({bytes, bytes, threads});
}

void softmax_backward(benchmark::State& state) {
  const index_t rows = state.range(0), cols = state.range(1);
  const auto threads = static_cast<int>(state.range(2));
  const Floats y = random_floats(static_cast<std::size_t>(rows * cols)), dy = y;
  Floats dx = y;
  kernels::Workers& pool = workers(threads);
  Meter meter(state);
  for (auto _ : state) {
    kernels::softmax_backward(isa(), pool, rows, cols, 1.0F, y.data(), dy.data(), dx.data());
    benchmark::ClobberMemory();
  }
  const double bytes = 4.0 * static_cast<double>(rows * cols);
  meter.bytes({2 * bytes, bytes, threads});
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"rows", "cols", "threads"})->UseRealTime();
  b->Args({1, 13, 1});
  for (const int threads : {1, 2}) {
    b->Args({4096, 512, threads});
    b->Args({512, 4096, threads});
  }
}

BENCHMARK_CAPTURE(softmax, full, false)->Apply(shapes);
BENCHMARK_CAPTURE(softmax, causal, true)->Apply(shapes);
BENCHMARK(copy)->Name("softmax/copy_of_the_same_arrays")->Apply(shapes);
BENCHMARK(softmax_backward)->Apply(shapes);

}  // namespace
}  // namespace attn::bench
