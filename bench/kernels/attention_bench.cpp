#include "bench/report.hpp"
#include "kernels/attention/attention.hpp"

namespace attn::bench {
namespace {

using kernels::index_t;

/// One call on contiguous [heads, length, dim] tensors.
struct Operands {
  index_t heads, q_len, kv_len, dim;
  int threads;
  kernels::Workers& pool;
  Floats q, k, v, out, lse, weights, dq, dk, dv, scratch;
  kernels::AttentionArgs<float> args;

  explicit Operands(const benchmark::State& state)
      : heads(state.range(0)),
        q_len(state.range(1)),
        kv_len(state.range(2)),
        dim(state.range(3)),
        threads(static_cast<int>(state.range(5))),
        pool(workers(threads)),
        q(random_floats(static_cast<std::size_t>(heads * q_len * dim))),
        k(random_floats(static_cast<std::size_t>(heads * kv_len * dim))),
        v(k.rbegin(), k.rend()),
        out(q),
        lse(static_cast<std::size_t>(heads * q_len)),
        dq(q),
        dk(k),
        dv(v) {
    args.heads = args.kv_heads = heads;
    args.q_len = q_len;
    args.kv_len = kv_len;
    args.head_dim = args.value_dim = dim;
    args.scale = 0.125F;
    args.causal = state.range(4) != 0;
    args.q = {q.data(), heads * q_len * dim, q_len * dim, dim};
    args.k = {k.data(), heads * kv_len * dim, kv_len * dim, dim};
    args.v = {v.data(), heads * kv_len * dim, kv_len * dim, dim};
    args.out = {out.data(), heads * q_len * dim, q_len * dim, dim};
    args.log_sum_exp = lse.data();
    const auto bytes = std::max(
        kernels::attention_scratch_bytes(isa(), threads, 1, heads, heads, q_len, kv_len, dim, dim),
        kernels::attention_backward_scratch_bytes(isa(), threads, 1, heads, heads, q_len, kv_len,
                                                  dim, dim));
    scratch.resize(bytes / sizeof(float) + 1);
    args.scratch = scratch.data();
  }

  /// Multiplications and additions of one of the matrix products, over what is visible.
  [[nodiscard]] double product() const {
    double seen = static_cast<double>(q_len * kv_len);
    if (args.causal) seen -= static_cast<double>(q_len * (q_len - 1)) / 2;
    return 2.0 * static_cast<double>(heads * dim) * seen;
  }
};

void attention(benchmark::State& state) {
  Operands o(state);
  Meter meter(state);
  for (auto _ : state) {
    kernels::attention(isa(), o.pool, o.args);
    benchmark::ClobberMemory();
  }
  meter.flops(2 * o.product(), o.threads);
}

void attention_weights(benchmark::State& state) {
  Operands o(state);
  o.weights.resize(static_cast<std::size_t>(o.heads * o.q_len * o.kv_len));
  o.args.weights = o.weights.data();
  Meter meter(state);
  for (auto _ : state) {
    kernels::attention(isa(), o.pool, o.args);
    benchmark::ClobberMemory();
  }
  meter.flops(2 * o.product(), o.threads);
}

void attention_backward(benchmark::State& state) {
  Operands o(state);
  kernels::attention(isa(), o.pool, o.args);
  const Floats dout(o.q.rbegin(), o.q.rend());
  kernels::AttentionBackwardArgs<float> args;
  args.forward = o.args;
  args.dout = {dout.data(), o.args.out.batch_stride, o.args.out.head_stride, o.dim};
  args.dq = {o.dq.data(), o.args.q.batch_stride, o.args.q.head_stride, o.dim};
  args.dk = {o.dk.data(), o.args.k.batch_stride, o.args.k.head_stride, o.dim};
  args.dv = {o.dv.data(), o.args.v.batch_stride, o.args.v.head_stride, o.dim};
  args.scratch = o.scratch.data();
  Meter meter(state);
  for (auto _ : state) {
    kernels::attention_backward(isa(), o.pool, args);
    benchmark::ClobberMemory();
  }
  meter.flops(5 * o.product(), o.threads);
}

const std::vector<std::string> names{"heads", "q", "kv", "dim", "causal", "threads"};

// BERT base at 512 tokens; one token, and eight guessed ones, against a context of 1024
void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames(names)->UseRealTime();
  for (const int threads : {1, 2}) {
    for (const int causal : {0, 1}) b->Args({12, 512, 512, 64, causal, threads});
    b->Args({12, 1, 1024, 64, 0, threads})->Args({12, 8, 1024, 64, 1, threads});
  }
}
BENCHMARK(attention)->Apply(shapes);

// the examples' sizes: self-attention over three tokens, the size-loss model's over thirteen
void toys(benchmark::internal::Benchmark* b) {
  b->ArgNames(names)
      ->Args({1, 3, 3, 4, 0, 1})
      ->Args({1, 1, 13, 4, 0, 1})
      ->Args({1, 13, 13, 4, 0, 1});
}
BENCHMARK(attention_weights)->Apply(toys)->Args({12, 512, 512, 64, 0, 1})->UseRealTime();
BENCHMARK(attention_backward)
    ->Apply(toys)
    ->Args({12, 512, 512, 64, 0, 1})
    ->Args({12, 512, 512, 64, 1, 1})
    ->Args({12, 512, 512, 64, 0, 2})
    ->UseRealTime();

}  // namespace
}  // namespace attn::bench
