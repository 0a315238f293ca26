#include "bench/report.hpp"
#include "kernels/optim/adam.hpp"

namespace attn::bench {
namespace {

using kernels::index_t;

void adam(benchmark::State& state) {
  const index_t n = state.range(0);
  const auto threads = static_cast<int>(state.range(1));
  const auto size = static_cast<std::size_t>(n);
  Floats param = random_floats(size), m(size), v(size);
  const Floats grad = random_floats(size);
  kernels::AdamArgs<float> args;
  args.n = n;
  args.param = param.data();
  args.m = m.data();
  args.v = v.data();
  args.grad = grad.data();
  kernels::Workers& pool = workers(threads);
  Meter meter(state);
  for (auto _ : state) kernels::adam(isa(), pool, args);
  const double array = 4.0 * static_cast<double>(n);
  meter.bytes({4 * array, 3 * array, threads, 3 * array});
}

// the size-loss model's 88 parameters, a small and a large layer
BENCHMARK(adam)
    ->ArgNames({"n", "threads"})
    ->ArgsProduct({{88, 16384, 1 << 20, 1 << 24}, {1}})
    ->Args({1 << 24, 2})
    ->UseRealTime();

}  // namespace
}  // namespace attn::bench
