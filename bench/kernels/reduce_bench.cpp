#include "bench/report.hpp"
#include "kernels/reduce/reduce.hpp"

namespace attn::bench {
namespace {

using kernels::index_t;
using kernels::Reduce;

struct Table {
  index_t rows, cols;
  int threads;
  kernels::Workers& pool;
  Floats x;

  explicit Table(const benchmark::State& state)
      : rows(state.range(0)),
        cols(state.range(1)),
        threads(static_cast<int>(state.range(2))),
        pool(workers(threads)),
        x(random_floats(static_cast<std::size_t>(rows * cols))) {}
  [[nodiscard]] double bytes() const { return 4.0 * static_cast<double>(rows * cols); }
};

template <Reduce op>
void reduce_rows(benchmark::State& state) {
  const Table t(state);
  Floats y(static_cast<std::size_t>(t.rows));
  Meter meter(state);
  for (auto _ : state) {
    kernels::reduce_rows(isa(), t.pool, op, t.rows, t.cols, t.x.data(), y.data());
    benchmark::ClobberMemory();
  }
  meter.bytes({t.bytes(), 4.0 * static_cast<double>(t.rows), t.threads});
}

void sum_columns(benchmark::State& state) {
  const Table t(state);
  Floats y(static_cast<std::size_t>(t.cols));
  Meter meter(state);
  for (auto _ : state) {
    kernels::sum_columns(isa(), t.pool, t.rows, t.cols, t.x.data(), t.cols, y.data());
    benchmark::ClobberMemory();
  }
  meter.bytes({t.bytes(), 4.0 * static_cast<double>(t.cols), t.threads});
}

void dot(benchmark::State& state) {
  const index_t n = state.range(0);
  const auto x = random_floats(static_cast<std::size_t>(n));
  const auto w = random_floats(static_cast<std::size_t>(n));
  Meter meter(state);
  for (auto _ : state) benchmark::DoNotOptimize(kernels::dot(isa(), n, x.data(), w.data()));
  meter.bytes({8.0 * static_cast<double>(n)});
}

// a toy's rows, a layer's activations in the L2 and the L3 cache, and from memory
void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"rows", "cols", "threads"})
      ->Args({13, 4, 1})
      ->Args({128, 768, 1})
      ->Args({4096, 512, 1})
      ->Args({4096, 512, 2})
      ->Args({32768, 1024, 1})
      ->Args({32768, 1024, 2})
      ->UseRealTime();
}
BENCHMARK_TEMPLATE(reduce_rows, Reduce::sum)->Apply(shapes);
BENCHMARK_TEMPLATE(reduce_rows, Reduce::max)->Apply(shapes);
BENCHMARK(sum_columns)->Apply(shapes)->Args({1 << 20, 4, 1})->Args({16, 1 << 20, 1});
BENCHMARK(dot)->ArgName("n")->Arg(10)->Arg(576)->Arg(1 << 16)->Arg(1 << 22);

}  // namespace
}  // namespace attn::bench
