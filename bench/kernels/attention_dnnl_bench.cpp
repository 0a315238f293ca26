// Attention as one writes it without a fused kernel: oneDNN's batched matmul, a softmax, and the
// second matmul, with the whole score matrix between. Primitives are made once, before the clock.

#if defined(ATTN_ONEDNN) && defined(_OPENMP)

#include "bench/report.hpp"
#include "kernels/softmax/softmax.hpp"

#include <oneapi/dnnl/dnnl.hpp>

#include <limits>
#include <omp.h>
#include <unordered_map>

namespace attn::bench {
namespace {

using dnnl::memory;
using kernels::index_t;

// oneDNN asks OpenMP for its threads; ours take theirs by num_threads and are not touched.
class OmpThreads {
 public:
  explicit OmpThreads(int threads) : before_(omp_get_max_threads()) {
    omp_set_num_threads(threads);
  }
  OmpThreads(const OmpThreads&) = delete;
  OmpThreads& operator=(const OmpThreads&) = delete;
  ~OmpThreads() { omp_set_num_threads(before_); }

 private:
  int before_;
};

struct Composition {
  index_t heads, q_len, kv_len, dim;
  bool causal;
  int threads;
  OmpThreads omp{threads};
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  Floats q, k, v, out, scores, mask;
  memory::desc scores_desc{{heads, q_len, kv_len}, memory::data_type::f32, memory::format_tag::abc};
  memory scores_memory;
  dnnl::matmul first, second;
  dnnl::softmax_forward softmax;
  dnnl::binary add_mask;
  std::unordered_map<int, memory> first_args, second_args, softmax_args, mask_args;

  explicit Composition(const benchmark::State& state)
      : heads(state.range(0)),
        q_len(state.range(1)),
        kv_len(state.range(2)),
        dim(state.range(3)),
        causal(state.range(4) != 0),
        threads(static_cast<int>(state.range(5))),
        q(random_floats(static_cast<std::size_t>(heads * q_len * dim))),
        k(random_floats(static_cast<std::size_t>(heads * kv_len * dim))),
        v(k.rbegin(), k.rend()),
        out(q),
        scores(static_cast<std::size_t>(heads * q_len * kv_len)),
        mask(static_cast<std::size_t>(q_len * kv_len)),
        scores_memory(scores_desc, engine, scores.data()) {
    const auto f32 = memory::data_type::f32;
    const auto abc = memory::format_tag::abc;
    const memory::desc q_desc({heads, q_len, dim}, f32, abc),
        v_desc({heads, kv_len, dim}, f32, abc);
    // the keys as they lie, read transposed
    const memory::desc k_desc({heads, dim, kv_len}, f32, memory::dims{kv_len * dim, 1, dim});
    const memory::desc mask_desc({1, q_len, kv_len}, f32, abc);
    for (index_t i = 0; i < q_len; ++i) {
      for (index_t j = i + kv_len - q_len + 1; j < kv_len; ++j) {
        mask[static_cast<std::size_t>(i * kv_len + j)] = -std::numeric_limits<float>::infinity();
      }
    }

    dnnl::primitive_attr scaled;
    scaled.set_output_scales(0, {0.125F});
    // as a post-operation of the product the mask costs 500 times as much: that is oneDNN's
    // reference
    add_mask = dnnl::binary(
        {dnnl::binary::desc(dnnl::algorithm::binary_add, scores_desc, mask_desc, scores_desc),
         engine});
    mask_args = {{DNNL_ARG_SRC_0, scores_memory},
                 {DNNL_ARG_SRC_1, memory(mask_desc, engine, mask.data())},
                 {DNNL_ARG_DST, scores_memory}};
    first = dnnl::matmul({dnnl::matmul::desc(q_desc, k_desc, scores_desc), scaled, engine});
    softmax = dnnl::softmax_forward(
        {dnnl::softmax_forward::desc(dnnl::prop_kind::forward_inference, scores_desc, 2), engine});
    second = dnnl::matmul({dnnl::matmul::desc(scores_desc, v_desc, q_desc), engine});

    first_args = {{DNNL_ARG_SRC, memory(q_desc, engine, q.data())},
                  {DNNL_ARG_WEIGHTS, memory(k_desc, engine, k.data())},
                  {DNNL_ARG_DST, scores_memory}};
    softmax_args = {{DNNL_ARG_SRC, scores_memory}, {DNNL_ARG_DST, scores_memory}};
    second_args = {{DNNL_ARG_SRC, scores_memory},
                   {DNNL_ARG_WEIGHTS, memory(v_desc, engine, v.data())},
                   {DNNL_ARG_DST, memory(q_desc, engine, out.data())}};
  }

  /// What attention() counts for the same shape: the masked half is work that it need not do.
  [[nodiscard]] double flops() const {
    double seen = static_cast<double>(q_len * kv_len);
    if (causal) seen -= static_cast<double>(q_len * (q_len - 1)) / 2;
    return 4.0 * static_cast<double>(heads * dim) * seen;
  }
};

void attention_onednn(benchmark::State& state) {
  Composition c(state);
  Meter meter(state);
  for (auto _ : state) {
    c.first.execute(c.stream, c.first_args);
    if (c.causal) c.add_mask.execute(c.stream, c.mask_args);
    c.softmax.execute(c.stream, c.softmax_args);
    c.second.execute(c.stream, c.second_args);
    benchmark::ClobberMemory();
  }
  meter.flops(c.flops(), c.threads);
}

void attention_onednn_our_softmax(benchmark::State& state) {
  Composition c(state);
  kernels::Workers& pool = workers(c.threads);
  kernels::SoftmaxArgs<float> softmax;
  softmax.rows = c.heads * c.q_len;
  softmax.cols = softmax.stride_x = softmax.stride_y = c.kv_len;
  softmax.x = softmax.y = c.scores.data();
  softmax.causal = c.causal;
  softmax.causal_rows = c.q_len;
  softmax.causal_offset = c.kv_len - c.q_len;
  Meter meter(state);
  for (auto _ : state) {
    c.first.execute(c.stream, c.first_args);
    kernels::softmax(isa(), pool, softmax);
    c.second.execute(c.stream, c.second_args);
    benchmark::ClobberMemory();
  }
  meter.flops(c.flops(), c.threads);
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"heads", "q", "kv", "dim", "causal", "threads"})->UseRealTime();
  for (const int threads : {1, 2}) {
    for (const int causal : {0, 1}) b->Args({12, 512, 512, 64, causal, threads});
    b->Args({12, 1, 1024, 64, 0, threads});
  }
}
BENCHMARK(attention_onednn)->Apply(shapes);
BENCHMARK(attention_onednn_our_softmax)->Apply(shapes);

}  // namespace
}  // namespace attn::bench

#endif
