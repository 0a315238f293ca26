#include "bench/report.hpp"
#include "kernels/elementwise/elementwise.hpp"

namespace attn::bench {
namespace {

using kernels::Binary;
using kernels::index_t;
using kernels::Unary;

void unary(benchmark::State& state, Unary function) {
  const index_t n = state.range(0);
  const auto threads = static_cast<int>(state.range(1));
  Floats x = random_floats(static_cast<std::size_t>(n)), y(x);
  for (float& v : x) v *= 4;  // what a layer's activations spread over
  kernels::Workers& pool = workers(threads);
  Meter meter(state);
  for (auto _ : state) {
    kernels::unary(isa(), pool, function, n, x.data(), y.data());
    benchmark::ClobberMemory();
  }
  const double array = 4.0 * static_cast<double>(n);
  meter.bytes({array, array, threads});
}

void unary_backward(benchmark::State& state, Unary function) {
  const index_t n = state.range(0);
  const auto threads = static_cast<int>(state.range(1));
  Floats x = random_floats(static_cast<std::size_t>(n)), dx(x);
  for (float& v : x) v *= 4;
  const Floats dy = random_floats(static_cast<std::size_t>(n));
  kernels::Workers& pool = workers(threads);
  Meter meter(state);
  for (auto _ : state) {
    kernels::unary_backward(isa(), pool, function, n, x.data(), dy.data(), dx.data());
    benchmark::ClobberMemory();
  }
  const double array = 4.0 * static_cast<double>(n);
  meter.bytes({2 * array, array, threads});
}

void add(benchmark::State& state, bool broadcast) {
  const index_t rows = state.range(0), cols = state.range(1);
  const Floats a = random_floats(static_cast<std::size_t>(rows * cols)), b(a);
  Floats y(a);
  Meter meter(state);
  for (auto _ : state) {
    kernels::binary(isa(), workers(1), Binary::add, rows, cols, a.data(), b.data(), broadcast,
                    y.data());
    benchmark::ClobberMemory();
  }
  const double array = 4.0 * static_cast<double>(rows * cols);
  meter.bytes({(broadcast ? 1 : 2) * array, array});
}

void accumulate(benchmark::State& state) {
  const index_t n = state.range(0);
  const Floats x = random_floats(static_cast<std::size_t>(n));
  Floats y(x);
  Meter meter(state);
  for (auto _ : state) kernels::accumulate(isa(), workers(1), n, 1e-9F, x.data(), y.data());
  const double array = 4.0 * static_cast<double>(n);
  meter.bytes({2 * array, array, 1, array});
}

// the size-loss model's hidden layer, one row of SmolLM2-135M's, 128 rows of them, memory
void sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"n", "threads"})
      ->ArgsProduct({{52, 1536, 128 * 1536, 1 << 24}, {1}})
      ->Args({1 << 24, 2})
      ->UseRealTime();
}

BENCHMARK_CAPTURE(unary, exp, Unary::exp)->Apply(sizes);
BENCHMARK_CAPTURE(unary, tanh, Unary::tanh)->Apply(sizes);
BENCHMARK_CAPTURE(unary, sigmoid, Unary::sigmoid)->Apply(sizes);
BENCHMARK_CAPTURE(unary, relu, Unary::relu)->Apply(sizes);
BENCHMARK_CAPTURE(unary, gelu, Unary::gelu)->Apply(sizes);
BENCHMARK_CAPTURE(unary, gelu_tanh, Unary::gelu_tanh)->Apply(sizes);
BENCHMARK_CAPTURE(unary, silu, Unary::silu)->Apply(sizes);
BENCHMARK_CAPTURE(unary_backward, tanh, Unary::tanh)->Apply(sizes);
BENCHMARK_CAPTURE(unary_backward, gelu, Unary::gelu)->Apply(sizes);
BENCHMARK_CAPTURE(unary_backward, silu, Unary::silu)->Apply(sizes);

// a bias on four rows of 13 and on 128 rows of a layer; a residual
BENCHMARK_CAPTURE(add, bias, true)->ArgNames({"rows", "cols"})->Args({4, 13})->Args({128, 1536});
BENCHMARK_CAPTURE(add, residual, false)
    ->ArgNames({"rows", "cols"})
    ->Args({4, 13})
    ->Args({128, 576})
    ->Args({1 << 14, 1024});
BENCHMARK(accumulate)->ArgName("n")->Arg(88)->Arg(1 << 16)->Arg(1 << 24);

}  // namespace
}  // namespace attn::bench
