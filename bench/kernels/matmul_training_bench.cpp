// The products of a training step at 512 tokens: forward with f32 weights (x Wᵀ), back through
// weights (dY W: f32, or quantized as a file stores them), gradients of weights (dYᵀ X), the head
// over a few rows, and LoRA's thin ones. "bf16" may round its operands, "f32" may not.

#include "bench/report.hpp"
#include "kernels/matmul/matmul.hpp"

#include <string>
#include <vector>

namespace attn::bench {
namespace {

using kernels::index_t;
using kernels::WeightType;

enum class Form { forward, back, back_stored, weights };
constexpr const char* form_names[] = {"xWt", "dYW", "dYW-stored", "dYtX"};

/// C [m, n], sums of k.
struct Product {
  index_t m, k, n;
  Form form;
  WeightType type = WeightType::q4_1;  // of stored weights
};

constexpr Product products[] = {
    {512, 576, 1536, Form::forward},
    {512, 1536, 576, Form::forward},
    {512, 576, 192, Form::forward},
    {512, 576, 576, Form::forward},
    {512, 1536, 576, Form::back},
    {512, 576, 1536, Form::back},
    {512, 192, 576, Form::back},
    {512, 576, 576, Form::back},
    {512, 1536, 576, Form::back_stored},
    {512, 576, 1536, Form::back_stored},
    {512, 192, 576, Form::back_stored},
    {512, 576, 576, Form::back_stored},
    {512, 1536, 576, Form::back_stored, WeightType::q8_0},
    {1536, 512, 576, Form::weights},
    {576, 512, 1536, Form::weights},
    {192, 512, 576, Form::weights},
    {576, 512, 576, Form::weights},
    // the head
    {96, 576, 49152, Form::forward},
    {96, 49152, 576, Form::back},
    {96, 49152, 576, Form::back_stored, WeightType::q8_0},
    {49152, 96, 576, Form::weights},
    // LoRA of rank 8
    {512, 576, 8, Form::forward},
    {512, 8, 576, Form::forward},
    {512, 8, 1536, Form::forward},
    {512, 576, 8, Form::back},
    {512, 1536, 8, Form::back},
    {512, 8, 576, Form::back},
    {576, 512, 8, Form::weights},
    {1536, 512, 8, Form::weights},
    {8, 512, 576, Form::weights},
    // and of rank 32
    {512, 576, 32, Form::forward},
    {512, 32, 576, Form::forward},
    {32, 512, 576, Form::weights},
    {576, 512, 32, Form::weights},
};

void run(benchmark::State& state, const Product& s, bool bf16, int threads) {
  const Floats a = random_floats(static_cast<std::size_t>(s.m * s.k));
  const Floats b = random_floats(static_cast<std::size_t>(s.k * s.n));
  Floats c(static_cast<std::size_t>(s.m * s.n));
  std::vector<std::byte> stored;
  kernels::MatmulArgs<float> p;
  p.m = s.m;
  p.n = p.stride_c = s.n;
  p.k = s.k;
  p.a = {a.data(), s.k, 1};
  p.b = {b.data(), s.n, 1};
  p.c = c.data();
  p.bf16 = bf16;
  if (s.form == Form::forward) p.b = {b.data(), 1, s.k};
  if (s.form == Form::weights) p.a = {a.data(), 1, s.m};
  if (s.form == Form::back_stored) {
    stored.resize(static_cast<std::size_t>(kernels::row_bytes(s.type, s.k * s.n)));
    kernels::quantize(s.type, s.k * s.n, b.data(), stored.data());
    p.stored = {stored.data(), s.type, nullptr, true};
  }
  kernels::MatmulProblem problem{s.m, s.n, s.k};
  problem.a_transposed = p.a.col_stride != 1;
  problem.b_transposed = p.b.col_stride != 1;
  problem.stored = problem.stored_rows_of_b = s.form == Form::back_stored;
  problem.bf16 = bf16;
  const kernels::MatmulImpl& chosen = choose_matmul(problem, isa());
  Floats scratch(chosen.scratch_bytes(problem, isa(), threads) / sizeof(float) + 1);
  p.scratch = scratch.data();
  kernels::Workers& pool = workers(threads);
  Meter meter(state);
  for (auto _ : state) chosen.run(isa(), pool, p);
  meter.flops(2.0 * static_cast<double>(s.m * s.n * s.k), threads);
  state.SetLabel(chosen.name);
}

const bool registered = [] {
  for (const Product& s : products) {
    const std::string size =
        std::to_string(s.m) + "x" + std::to_string(s.k) + "x" + std::to_string(s.n) + "/" +
        form_names[static_cast<int>(s.form)] +
        (s.form == Form::back_stored && s.type == WeightType::q8_0 ? "-q8_0" : "");
    for (const bool bf16 : {true, false}) {
      for (const int threads : {1, 2}) {
        const std::string name = "matmul_training/" + size + (bf16 ? "/bf16" : "/f32") +
                                 (threads == 1 ? "" : "/" + std::to_string(threads));
        benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
          run(state, s, bf16, threads);
        })->UseRealTime();
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace attn::bench
