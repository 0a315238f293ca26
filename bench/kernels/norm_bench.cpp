#include "bench/report.hpp"
#include "kernels/norm/norm.hpp"

namespace attn::bench {
namespace {

using kernels::index_t;

struct Operands {
  index_t rows, cols;
  int threads;
  kernels::Workers& pool;
  Floats x, dy, y, dx, gamma, beta, dgamma, dbeta, mean, rstd, scratch;

  explicit Operands(const benchmark::State& state)
      : rows(state.range(0)),
        cols(state.range(1)),
        threads(static_cast<int>(state.range(2))),
        pool(workers(threads)),
        x(random_floats(static_cast<std::size_t>(rows * cols))),
        dy(x),
        y(x),
        dx(x),
        gamma(random_floats(static_cast<std::size_t>(cols))),
        beta(gamma),
        dgamma(gamma),
        dbeta(gamma),
        mean(static_cast<std::size_t>(rows), 0.0F),
        rstd(static_cast<std::size_t>(rows), 1.0F),
        scratch(static_cast<std::size_t>(kernels::norm_backward_scratch(rows, cols))) {}
  [[nodiscard]] double bytes() const { return 4.0 * static_cast<double>(rows * cols); }
};

void layer_norm(benchmark::State& state) {
  Operands o(state);
  Meter meter(state);
  for (auto _ : state) {
    kernels::layer_norm(isa(), o.pool, o.rows, o.cols, 1e-5F, o.x.data(), o.gamma.data(),
                        o.beta.data(), o.y.data(), o.mean.data(), o.rstd.data());
    benchmark::ClobberMemory();
  }
  meter.bytes({o.bytes(), o.bytes(), o.threads});
}

void rms_norm(benchmark::State& state) {
  Operands o(state);
  Meter meter(state);
  for (auto _ : state) {
    kernels::rms_norm(isa(), o.pool, o.rows, o.cols, 1e-5F, o.x.data(), o.gamma.data(), o.y.data(),
                      o.rstd.data());
    benchmark::ClobberMemory();
  }
  meter.bytes({o.bytes(), o.bytes(), o.threads});
}

void layer_norm_backward(benchmark::State& state) {
  Operands o(state);
  Meter meter(state);
  for (auto _ : state) {
    kernels::layer_norm_backward(isa(), o.pool, o.rows, o.cols, o.x.data(), o.gamma.data(),
                                 o.mean.data(), o.rstd.data(), o.dy.data(), o.dx.data(),
                                 o.dgamma.data(), o.dbeta.data(), o.scratch.data());
    benchmark::ClobberMemory();
  }
  meter.bytes({2 * o.bytes(), o.bytes(), o.threads});
}

void rms_norm_backward(benchmark::State& state) {
  Operands o(state);
  Meter meter(state);
  for (auto _ : state) {
    kernels::rms_norm_backward(isa(), o.pool, o.rows, o.cols, o.x.data(), o.gamma.data(),
                               o.rstd.data(), o.dy.data(), o.dx.data(), o.dgamma.data(),
                               o.scratch.data());
    benchmark::ClobberMemory();
  }
  meter.bytes({2 * o.bytes(), o.bytes(), o.threads});
}

// a toy, one token of SmolLM2, its prompt, BERT's batch, and from memory
void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"rows", "cols", "threads"})
      ->Args({13, 4, 1})
      ->Args({1, 576, 1})
      ->Args({512, 576, 1})
      ->Args({4096, 768, 1})
      ->Args({4096, 768, 2})
      ->Args({32768, 1024, 1})
      ->Args({32768, 1024, 2})
      ->UseRealTime();
}
BENCHMARK(layer_norm)->Apply(shapes);
BENCHMARK(rms_norm)->Apply(shapes);
BENCHMARK(layer_norm_backward)->Apply(shapes);
BENCHMARK(rms_norm_backward)->Apply(shapes);

}  // namespace
}  // namespace attn::bench
