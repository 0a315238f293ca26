// SmolLM2 and MiniLM, where tools/dev models has put them: tokens a second of a prompt, of decoding
// and of embedding, through the public interface.

#include "attn/generator.hpp"
#include "bench/report.hpp"
#include "kernels/isa.hpp"

#include <cstdlib>
#include <filesystem>

namespace attn::bench {
namespace {

std::filesystem::path model_path(const char* name) {
  const char* const set = std::getenv("ATTN_MODELS");
  const char* const home = std::getenv("HOME");
  if (set != nullptr) return std::filesystem::path(set) / name;
  return std::filesystem::path(home == nullptr ? "." : home) / ".cache/attn/models" / name;
}

Model open(const char* name, int threads, Precision precision) {
  Options options;
  options.threads = threads;
  options.isa = kernels::isa_name(isa());
  options.precision = precision;
  return Model::open(model_path(name), options);
}

constexpr const char* smollm2 = "smollm2-135m-instruct.Q4_1.gguf";
constexpr const char* minilm = "all-minilm-l6-v2";

// Ids spread over the vocabulary, as random text has them.
std::vector<std::int32_t> some_tokens(std::int64_t count) {
  std::vector<std::int32_t> tokens;
  for (std::int64_t i = 0; i < count; ++i) {
    tokens.push_back(static_cast<std::int32_t>(1000 + i * 7919 % 20000));
  }
  return tokens;
}

void tokens_per_second(benchmark::State& state, std::int64_t tokens) {
  state.counters["tokens/s"] = benchmark::Counter(static_cast<double>(tokens * state.iterations()),
                                                  benchmark::Counter::kIsRate);
}

void prompt(benchmark::State& state, Precision precision) {
  if (!std::filesystem::exists(model_path(smollm2))) {
    return state.SkipWithError("not here: tools/dev models");
  }
  const Model model = open(smollm2, static_cast<int>(state.range(1)), precision);
  Generator generator(model);
  std::vector<std::int32_t> tokens = some_tokens(state.range(0));
  for (auto _ : state) {
    tokens[0] = tokens[0] % 1000 + 1;  // another beginning, so that nothing is reused
    benchmark::DoNotOptimize(generator.generate(tokens, {.max_tokens = 0}));
  }
  tokens_per_second(state, state.range(0));
}

void prompt_f32(benchmark::State& state) { prompt(state, Precision::f32); }
void prompt_automatic(benchmark::State& state) { prompt(state, Precision::automatic); }

void decode(benchmark::State& state) {
  if (!std::filesystem::exists(model_path(smollm2))) {
    return state.SkipWithError("not here: tools/dev models");
  }
  const Model model = open(smollm2, static_cast<int>(state.range(1)), Precision::automatic);
  Generator generator(model);
  const std::vector<std::int32_t> first{1};
  const auto count = static_cast<int>(state.range(0));
  for (auto _ : state) {
    // no end token ends it: sampling keeps to what is not one
    GenerateOptions options{.max_tokens = count, .sampling = {.temperature = 0}};
    const Generation answer = generator.generate(first, options);
    if (static_cast<int>(answer.tokens.size()) != count) state.SkipWithError("ended early");
  }
  tokens_per_second(state, state.range(0));
}

void embed(benchmark::State& state) {
  if (!std::filesystem::exists(model_path(minilm))) {
    return state.SkipWithError("not here: tools/dev models");
  }
  Model model = open(minilm, static_cast<int>(state.range(2)), Precision::f32);
  const std::vector<std::vector<std::int32_t>> texts(static_cast<std::size_t>(state.range(0)),
                                                     some_tokens(state.range(1)));
  for (auto _ : state) benchmark::DoNotOptimize(model.embed(texts));
  tokens_per_second(state, state.range(0) * state.range(1));
}

void shapes(benchmark::internal::Benchmark* bench, std::initializer_list<std::vector<long>> all) {
  for (const long threads : {1, 2}) {
    for (std::vector<long> arguments : all) {
      arguments.push_back(threads);
      bench->Args({arguments.begin(), arguments.end()});
    }
  }
  bench->UseRealTime()->Unit(benchmark::kMillisecond);
}

BENCHMARK(prompt_automatic)
    ->Name("real/smollm2/prompt")
    ->ArgNames({"tokens", "threads"})
    ->Apply([](auto* b) {
      shapes(b, {{128}, {512}});
    });
BENCHMARK(prompt_f32)
    ->Name("real/smollm2/prompt_f32")
    ->ArgNames({"tokens", "threads"})
    ->Apply([](auto* b) { shapes(b, {{512}}); });
BENCHMARK(decode)->Name("real/smollm2/decode")->ArgNames({"tokens", "threads"})->Apply([](auto* b) {
  shapes(b, {{64}});
});
BENCHMARK(embed)->Name("real/minilm")->ArgNames({"texts", "tokens", "threads"})->Apply([](auto* b) {
  shapes(b, {{1, 16}, {1, 128}, {8, 128}, {32, 128}, {1, 256}});
});

}  // namespace
}  // namespace attn::bench
