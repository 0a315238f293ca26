#include "bench/report.hpp"
#include "kernels/embedding/embedding.hpp"

namespace attn::bench {
namespace {

using kernels::index_t;

struct Rows {
  index_t count, cols, vocab;
  std::vector<std::int32_t> ids;
  Floats table, rows;

  explicit Rows(const benchmark::State& state)
      : count(state.range(0)),
        cols(state.range(1)),
        vocab(state.range(2)),
        ids(static_cast<std::size_t>(count)),
        table(random_floats(static_cast<std::size_t>(vocab * cols))),
        rows(random_floats(static_cast<std::size_t>(count * cols))) {
    // a step of many rows, as text has it, that no prefetcher guesses
    std::uint32_t at = 0;
    for (std::int32_t& id : ids) {
      at = at * 1664525U + 1013904223U;
      id = static_cast<std::int32_t>((at >> 8) % static_cast<std::uint32_t>(vocab));
    }
  }
  [[nodiscard]] double bytes() const { return 4.0 * static_cast<double>(count * cols); }
};

void gather_rows(benchmark::State& state) {
  Rows r(state);
  const auto threads = static_cast<int>(state.range(3));
  kernels::Workers& pool = workers(threads);
  Meter meter(state);
  for (auto _ : state) {
    kernels::gather_rows(isa(), pool, r.count, r.cols, r.table.data(), r.ids.data(), r.rows.data());
    benchmark::ClobberMemory();
  }
  meter.bytes({r.bytes(), r.bytes(), threads});
}

void scatter_add_rows(benchmark::State& state) {
  Rows r(state);
  const auto threads = static_cast<int>(state.range(3));
  kernels::Workers& pool = workers(threads);
  Meter meter(state);
  for (auto _ : state) {
    kernels::scatter_add_rows(isa(), pool, r.count, r.cols, r.rows.data(), r.ids.data(),
                              r.table.data());
    benchmark::ClobberMemory();
  }
  meter.bytes({2 * r.bytes(), r.bytes(), threads, r.bytes()});
}

// the pink elephant's ten words of four numbers; a prompt through SmolLM2's and BERT's table
void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"count", "cols", "vocab", "threads"})
      ->Args({13, 4, 10, 1})
      ->Args({512, 576, 49152, 1})
      ->Args({4096, 768, 30522, 1})
      ->Args({4096, 768, 30522, 2})
      ->UseRealTime();
}
BENCHMARK(gather_rows)->Apply(shapes);
BENCHMARK(scatter_add_rows)->Apply(shapes);

}  // namespace
}  // namespace attn::bench
