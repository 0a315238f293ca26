// What a call through each layer costs beyond the bare kernel: self-attention on the textbook's
// 3 × 4, whose arithmetic is next to nothing.

#include "attn/attn.h"
#include "attn/attn.hpp"
#include "bench/report.hpp"
#include "kernels/attention/attention.hpp"
#include "kernels/isa.hpp"

#include <stdexcept>
#include <string>

namespace attn::bench {
namespace {

constexpr kernels::index_t rows = 3, width = 4;
constexpr float x[rows * width] = {1, 0, 1, 0, 0, 1, 0, 1, 1, 1, 0, 0};

void kernel(benchmark::State& state) {
  Floats weights(rows * rows), output(rows * width);
  kernels::AttentionArgs<float> args;
  args.q_len = args.kv_len = rows;
  args.head_dim = args.value_dim = width;
  args.scale = 0.5F;
  args.q = args.k = args.v = {x, 0, width, width};
  args.out = {output.data(), 0, width, width};
  args.weights = weights.data();
  Floats scratch(kernels::attention_scratch_bytes(isa(), 1, 1, 1, 1, rows, rows, width, width) /
                     sizeof(float) +
                 1);
  args.scratch = scratch.data();
  for (auto _ : state) {
    kernels::attention(isa(), kernels::serial_workers(), args);
    benchmark::DoNotOptimize(output.data());
  }
}
BENCHMARK(kernel)->Name("call/self_attention/3x4/kernel");

void facade(benchmark::State& state) {
  Options options;
  options.threads = 1;
  options.isa = kernels::isa_name(isa());
  Model model = Model::create("self_attention", {}, 1, options);
  for (auto _ : state) {
    benchmark::DoNotOptimize(model.run({{"x", {rows, width}, std::span<const float>(x)}}));
  }
}
BENCHMARK(facade)->Name("call/self_attention/3x4/c++");

void works(attn_status status, const attn_error& error) {
  if (status != ATTN_OK) throw std::runtime_error(error.message);
}

// token: under one that nobody uses, which every node looks at.
void c_api(benchmark::State& state, bool token) {
  const std::string level(kernels::isa_name(isa()));
  attn_error error;
  attn_cancel* cancel = nullptr;
  works(attn_cancel_create(&cancel, &error), error);
  attn_model_options options;
  attn_model_options_init(&options, sizeof options);
  options.threads = 1;
  options.isa = level.c_str();
  options.cancel = token ? cancel : nullptr;
  attn_model* model = nullptr;
  works(attn_model_create("self_attention", nullptr, 0, 1, &options, &model, &error), error);
  const std::int64_t shape[] = {rows, width};
  const attn_input input{"x", ATTN_F32, 2, shape, x};
  const attn_output* outputs = nullptr;
  std::size_t count = 0;
  for (auto _ : state) {
    works(attn_model_run(model, &input, 1, &outputs, &count, &error), error);
    benchmark::DoNotOptimize(outputs);
  }
  attn_model_free(model);
  attn_cancel_free(cancel);
}
BENCHMARK_CAPTURE(c_api, plain, false)->Name("call/self_attention/3x4/c");
BENCHMARK_CAPTURE(c_api, token, true)->Name("call/self_attention/3x4/c, cancellable");

}  // namespace
}  // namespace attn::bench
