// Whole models through the public interface, as an application calls them.

#include "attn/attn.hpp"
#include "bench/report.hpp"
#include "kernels/isa.hpp"

namespace attn::bench {
namespace {

Options options(int threads) {
  Options o;
  o.threads = threads;
  o.isa = kernels::isa_name(isa());
  return o;
}

// One forward of self-attention on the textbook's 3 × 4.
void self_attention(benchmark::State& state) {
  Model model = Model::create("self_attention", {}, 1, options(1));
  const std::vector<float> x{1, 0, 1, 0, 0, 1, 0, 1, 1, 1, 0, 0};
  for (auto _ : state) {
    benchmark::DoNotOptimize(model.run({{"x", {3, 4}, std::span<const float>(x)}}));
  }
}
BENCHMARK(self_attention)->Name("model/self_attention/3x4");

void multi_head_attention(benchmark::State& state) {
  const std::int64_t n = state.range(0), d = state.range(1);
  const auto threads = static_cast<int>(state.range(2));
  Model model = Model::create("multi_head_attention",
                              {{"embedding_size", std::to_string(d)}, {"num_heads", "8"}}, 1,
                              options(threads));
  const Floats x = random_floats(static_cast<std::size_t>(n * d));
  Meter meter(state);
  for (auto _ : state) {
    benchmark::DoNotOptimize(model.run({{"x", {n, d}, std::span<const float>(x)}}));
  }
  const auto rows = static_cast<double>(n), width = static_cast<double>(d);
  meter.flops(8 * rows * width * width + 4 * rows * rows * width, threads);
}
BENCHMARK(multi_head_attention)
    ->Name("model/multi_head_attention")
    ->ArgNames({"n", "d", "threads"})
    ->Args({128, 512, 1})
    ->Args({128, 512, 2})
    ->Args({512, 512, 1})
    ->Args({512, 512, 2})
    ->UseRealTime();

constexpr const char* sentence = "The pink elephant tried to get into the car but it was too";

// The size-loss task on the pink elephant: 200 epochs, graph and session made anew each time.
void size_loss_training(benchmark::State& state) {
  Model model = Model::create(
      "size_loss_attention",
      {{"sentence", sentence}, {"size_words", "elephant,car,too"}, {"embedding_dim", "4"}}, 1,
      options(1));
  for (auto _ : state) {
    benchmark::DoNotOptimize(model.train({}, {}));
  }
}
BENCHMARK(size_loss_training)->Name("model/size_loss/200_epochs")->Unit(benchmark::kMicrosecond);

void size_loss_forward(benchmark::State& state) {
  Model model = Model::create(
      "size_loss_attention",
      {{"sentence", sentence}, {"size_words", "elephant,car,too"}, {"embedding_dim", "4"}}, 1,
      options(1));
  const std::vector<std::int32_t> ids = model.encode(sentence);
  for (auto _ : state) {
    benchmark::DoNotOptimize(model.run({{"tokens", {13}, std::span<const std::int32_t>(ids)}}));
  }
}
BENCHMARK(size_loss_forward)->Name("model/size_loss/forward");

}  // namespace
}  // namespace attn::bench
