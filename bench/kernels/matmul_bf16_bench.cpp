// Products with weights in bfloat16: ours from tiles, f32 activations rounded on the way, against
// oneDNN with both operands in bfloat16 and weights reordered as it likes best. Cold: a product's
// operands were last touched many megabytes ago.

#include "bench/report.hpp"
#include "kernels/matmul/matmul.hpp"
#include "kernels/tiles/tiles.hpp"

#ifdef ATTN_ONEDNN
#include <oneapi/dnnl/dnnl.hpp>

#include <omp.h>
#endif

#include <algorithm>
#include <string>
#include <unordered_map>
#include <vector>

namespace attn::bench {
namespace {

using kernels::index_t;
using kernels::WeightType;

struct Shape {
  index_t m, k, n;
  [[nodiscard]] double flops() const { return 2.0 * static_cast<double>(m * n * k); }
  /// How many sets of operands are more than any cache holds.
  [[nodiscard]] std::size_t sets() const {
    constexpr index_t all = index_t{160} << 20;
    return static_cast<std::size_t>(std::max<index_t>(2, all / (2 * n * k + 4 * m * (n + k))));
  }
};

constexpr Shape shapes[] = {{128, 384, 1536}, {512, 576, 1536}, {1024, 1024, 1024}};

std::vector<std::uint16_t> rounded(index_t count) {
  const Floats values = random_floats(static_cast<std::size_t>(count));
  std::vector<std::uint16_t> halves(values.size());
  kernels::quantize(WeightType::bf16, count, values.data(), halves.data());
  return halves;
}

void ours(benchmark::State& state, const Shape& s, int threads) {
  kernels::MatmulProblem problem{s.m, s.n, s.k};
  problem.stored = problem.tiled = true;
  const kernels::MatmulImpl& chosen = choose_matmul(problem, isa());
  struct Set {
    Floats a, tiles, c;  // tiles in a Floats, which is aligned
  };
  const auto tile_floats =
      static_cast<std::size_t>(kernels::tiled_bytes(WeightType::bf16, s.n, s.k)) / sizeof(float);
  const std::vector<std::uint16_t> w = rounded(s.n * s.k);
  std::vector<Set> sets;
  for (std::size_t i = 0; i < s.sets(); ++i) {
    Set& set =
        sets.emplace_back(Set{random_floats(static_cast<std::size_t>(s.m * s.k)),
                              Floats(tile_floats), Floats(static_cast<std::size_t>(s.m * s.n))});
    const index_t band = kernels::tile_band_bytes(WeightType::bf16, s.k);
    for (index_t b = 0; b < kernels::ceil_div(s.n, kernels::tile_rows); ++b) {
      kernels::write_tiles(WeightType::bf16, s.n, s.k, w.data(), b,
                           reinterpret_cast<char*>(set.tiles.data()) + b * band);
    }
  }
  Floats scratch(chosen.scratch_bytes(problem, isa(), threads) / sizeof(float) + 1);
  kernels::MatmulArgs<float> p;
  p.m = s.m;
  p.n = p.stride_c = s.n;
  p.k = s.k;
  p.stored.type = WeightType::bf16;
  p.scratch = scratch.data();
  kernels::Workers& pool = workers(threads);
  std::size_t next = 0;
  Meter meter(state);
  for (auto _ : state) {
    Set& set = sets[next];
    next = next + 1 == sets.size() ? 0 : next + 1;
    p.a = {set.a.data(), s.k, 1};
    p.stored.tiles = set.tiles.data();
    p.c = set.c.data();
    chosen.run(isa(), pool, p);
  }
  meter.bf16_flops(s.flops(), threads, isa());
  state.SetLabel(chosen.name);
}

#ifdef ATTN_ONEDNN
void onednn(benchmark::State& state, const Shape& s, int threads) {
  using dnnl::memory;
  omp_set_num_threads(threads);
  const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  dnnl::stream on(cpu);
  const auto bf16 = memory::data_type::bf16;
  const memory::desc a({s.m, s.k}, bf16, memory::format_tag::ab);
  const memory::desc b({s.k, s.n}, bf16, memory::format_tag::ab);
  const memory::desc c({s.m, s.n}, memory::data_type::f32, memory::format_tag::ab);
  const memory::desc any({s.k, s.n}, bf16, memory::format_tag::any);
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::matmul::primitive_desc how(cpu, a, any, c);
#else
  const dnnl::matmul::primitive_desc how(dnnl::matmul::desc(a, any, c), cpu);
#endif
  std::vector<std::uint16_t> of_a = rounded(s.m * s.k), of_b = rounded(s.k * s.n);
  std::vector<std::unordered_map<int, memory>> sets;
  for (std::size_t i = 0; i < s.sets(); ++i) {
    memory left(a, cpu), right(how.weights_desc(), cpu);
    memory from_a(a, cpu, of_a.data()), from_b(b, cpu, of_b.data());
    dnnl::reorder(from_a, left).execute(on, from_a, left);
    dnnl::reorder(from_b, right).execute(on, from_b, right);
    sets.push_back(
        {{DNNL_ARG_SRC, left}, {DNNL_ARG_WEIGHTS, right}, {DNNL_ARG_DST, memory(c, cpu)}});
  }
  on.wait();
  dnnl::matmul multiply(how);
  std::size_t next = 0;
  Meter meter(state);
  for (auto _ : state) {
    multiply.execute(on, sets[next]);
    on.wait();
    next = next + 1 == sets.size() ? 0 : next + 1;
  }
  meter.bf16_flops(s.flops(), threads, kernels::supported_isas().back());
  state.SetLabel(how.impl_info_str());
  omp_set_num_threads(1);
}
#endif

const bool registered = [] {
  for (const Shape& s : shapes) {
    const std::string size = "matmul_bf16/" + std::to_string(s.m) + "x" + std::to_string(s.k) +
                             "x" + std::to_string(s.n) + "/cold/";
    for (const int threads : {1, 2}) {
      const auto add = [&](const std::string& name, auto body) {
        const std::string many = threads == 1 ? "" : "/" + std::to_string(threads);
        benchmark::RegisterBenchmark((size + name + many).c_str(), body)->UseRealTime();
      };
#ifdef ATTN_ONEDNN
      add("peer-onednn", [=](benchmark::State& state) { onednn(state, s, threads); });
#endif
      add("attn", [=](benchmark::State& state) { ours(state, s, threads); });
    }
  }
  return true;
}();

}  // namespace
}  // namespace attn::bench
