// Our matmul, row by row of its table, against oneDNN with weights reordered as it likes best, and
// against OpenBLAS. "weights" has B packed in advance, "plain" packs within the call, "plain-bt"
// and "plain-at" have B or A transposed, "chosen" is the public call; "/2" is two threads.

#include "bench/report.hpp"
#include "kernels/matmul/matmul.hpp"

#ifdef ATTN_OPENBLAS
#include <cblas.h>
#endif
#ifdef ATTN_ONEDNN
#include <oneapi/dnnl/dnnl.hpp>

#include <omp.h>
#endif

#include <string>
#include <unordered_map>

namespace attn::bench {
namespace {

using kernels::index_t;
using kernels::MatmulImpl;

struct Shape {
  index_t m, k, n;
  [[nodiscard]] double flops() const { return 2.0 * static_cast<double>(m * n * k); }
};

constexpr Shape shapes[] = {{1024, 1024, 1024}, {128, 384, 1536}, {128, 1536, 384}, {128, 384, 384},
                            {512, 576, 1536},   {512, 1536, 576}, {1, 576, 1536},   {8, 576, 1536},
                            {13, 4, 4},         {3, 4, 4}};

struct Operands {
  explicit Operands(const Shape& s)
      : a(random_floats(static_cast<std::size_t>(s.m * s.k))),
        b(random_floats(static_cast<std::size_t>(s.k * s.n))),
        c(static_cast<std::size_t>(s.m * s.n)) {}
  Floats a, b, c;
};

enum class Form { weights, plain, b_transposed, a_transposed };
constexpr const char* form_names[] = {"weights", "plain", "plain-bt", "plain-at"};

/// `row` of the table, or the public call where it is null.
void ours(benchmark::State& state, const Shape& s, const MatmulImpl* row, Form form, int threads) {
  Operands x(s);
  const kernels::MatmulProblem problem{s.m,
                                       s.n,
                                       s.k,
                                       1,
                                       form == Form::a_transposed,
                                       form == Form::b_transposed,
                                       form == Form::weights,
                                       false};
  const MatmulImpl& chosen = row != nullptr ? *row : choose_matmul(problem, isa());
  if (const char* reason = chosen.declines(problem, isa()); reason != nullptr) {
    state.SkipWithError(reason);
    return;
  }
  kernels::MatmulArgs<float> p;
  p.m = s.m;
  p.n = s.n;
  p.k = s.k;
  p.a = {x.a.data(), s.k, 1};
  p.b = {x.b.data(), s.n, 1};
  if (form == Form::a_transposed) p.a = {x.a.data(), 1, s.m};
  if (form == Form::b_transposed) p.b = {x.b.data(), 1, s.k};
  p.c = x.c.data();
  p.stride_c = s.n;
  Floats scratch(chosen.scratch_bytes(problem, isa(), threads) / sizeof(float));
  Floats packed(chosen.packed_bytes(problem, isa()) / sizeof(float));
  p.scratch = scratch.data();
  if (form == Form::weights && !packed.empty()) {
    chosen.pack(problem, isa(), p.b, packed.data());
    p.packed_b = packed.data();
  }
  kernels::Workers& pool = workers(threads);
  Meter meter(state);
  if (row != nullptr) {
    for (auto _ : state) row->run(isa(), pool, p);
  } else {
    for (auto _ : state) kernels::matmul(isa(), pool, p);
  }
  meter.flops(s.flops(), threads);
}

#ifdef ATTN_ONEDNN
void onednn(benchmark::State& state, const Shape& s, bool reordered, int threads) {
  using dnnl::memory;
  omp_set_num_threads(threads);
  Operands x(s);
  const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  dnnl::stream on(cpu);
  const auto f32 = memory::data_type::f32;
  const memory::desc a({s.m, s.k}, f32, memory::format_tag::ab);
  const memory::desc b({s.k, s.n}, f32, memory::format_tag::ab);
  const memory::desc c({s.m, s.n}, f32, memory::format_tag::ab);
  const memory::desc any({s.k, s.n}, f32, memory::format_tag::any);
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::matmul::primitive_desc how(cpu, a, reordered ? any : b, c);
#else
  const dnnl::matmul::primitive_desc how(dnnl::matmul::desc(a, reordered ? any : b, c), cpu);
#endif
  memory of_b(b, cpu, x.b.data());
  if (how.weights_desc() != b) {
    memory best(how.weights_desc(), cpu);
    dnnl::reorder(of_b, best).execute(on, of_b, best);
    of_b = best;
  }
  dnnl::matmul multiply(how);
  const std::unordered_map<int, memory> args{{DNNL_ARG_SRC, memory(a, cpu, x.a.data())},
                                             {DNNL_ARG_WEIGHTS, of_b},
                                             {DNNL_ARG_DST, memory(c, cpu, x.c.data())}};
  Meter meter(state);
  for (auto _ : state) {
    multiply.execute(on, args);
    on.wait();
  }
  meter.flops(s.flops(), threads);
  state.SetLabel(how.impl_info_str());
  omp_set_num_threads(1);
}
#endif

#ifdef ATTN_OPENBLAS
void openblas(benchmark::State& state, const Shape& s) {
  openblas_set_num_threads(1);
  Operands x(s);
  const auto m = static_cast<blasint>(s.m), n = static_cast<blasint>(s.n),
             k = static_cast<blasint>(s.k);
  Meter meter(state);
  for (auto _ : state) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1, x.a.data(), k, x.b.data(), n,
                0, x.c.data(), n);
  }
  meter.flops(s.flops());
}
#endif

const bool registered = [] {
  for (const Shape& s : shapes) {
    const std::string size = "matmul/" + std::to_string(s.m) + "x" + std::to_string(s.k) + "x" +
                             std::to_string(s.n) + "/";
    const auto add = [&](const std::string& name, auto body) {
      benchmark::RegisterBenchmark((size + name).c_str(), body)->UseRealTime();
    };
    const int most_threads = s.flops() > 1e7 ? 2 : 1;
    for (int threads = 1; threads <= most_threads; ++threads) {
      const std::string many = threads == 1 ? "" : "/" + std::to_string(threads);
#ifdef ATTN_ONEDNN
      for (const bool reordered : {true, false}) {
        add(std::string("peer-onednn/") + (reordered ? "weights" : "plain") + many,
            [=](benchmark::State& state) { onednn(state, s, reordered, threads); });
      }
#endif
      for (const Form form : {Form::weights, Form::plain, Form::b_transposed, Form::a_transposed}) {
        const std::string ending = "/" + std::string(form_names[static_cast<int>(form)]) + many;
        for (const MatmulImpl& row : kernels::matmul_table()) {
          add(row.name + ending,
              [=, &row](benchmark::State& state) { ours(state, s, &row, form, threads); });
        }
        add("chosen" + ending,
            [=](benchmark::State& state) { ours(state, s, nullptr, form, threads); });
      }
    }
#ifdef ATTN_OPENBLAS
    add("peer-openblas/plain", [=](benchmark::State& state) { openblas(state, s); });
#endif
  }
  return true;
}();

}  // namespace
}  // namespace attn::bench
