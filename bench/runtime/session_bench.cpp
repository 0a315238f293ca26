// What the executor costs beyond the kernels: a chain of nodes against the same kernel called in a
// loop.

#include "bench/report.hpp"
#include "kernels/elementwise/elementwise.hpp"
#include "runtime/ops.hpp"
#include "runtime/session.hpp"

namespace attn::bench {
namespace {

constexpr int nodes = 1000;
constexpr std::int64_t elements = 16;

void session_chain(benchmark::State& state) {
  runtime::Graph graph;
  runtime::ValueId x = graph.input("x", runtime::DType::f32, runtime::Shape{elements});
  for (int i = 0; i < nodes; ++i) x = runtime::affine(graph, x, 0.5, 0.25);
  runtime::SessionOptions options;
  options.isa = isa();
  runtime::Session session(graph, std::span(&x, 1), {}, options);
  for (auto _ : state) session.run();
  state.counters["per_node"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * nodes,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(session_chain)->Name("session/1000_nodes");

void kernel_chain(benchmark::State& state) {
  Floats x = random_floats(elements);
  for (auto _ : state) {
    for (int i = 0; i < nodes; ++i) {
      kernels::affine<float>(isa(), kernels::serial_workers(), elements, 0.5F, 0.25F, x.data(),
                             x.data());
      benchmark::ClobberMemory();
    }
  }
  state.counters["per_node"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * nodes,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(kernel_chain)->Name("session/1000_kernel_calls");

}  // namespace
}  // namespace attn::bench
