// A process that goes on for days: memory, descriptors and threads stay what they were.

#include "attn/generator.hpp"
#include "load/resources.hpp"
#include "support/references.hpp"

#include <catch2/catch.hpp>

#include <memory>

using namespace attn;
using namespace attn::test;

namespace {

using Tokens = std::vector<std::int32_t>;

Options options() {
  Options options;
  options.threads = 2;
  return options;
}

// Models that stay open, beside those that come and go. Every forward pass counts as an inference.
class Host {
 public:
  Host()
      : attention_(Model::create("self_attention", {{"embedding_size", "4"}}, 1, options())),
        bert_(Model::open(data_path("tiny-bert"), options())),
        llama_(Model::open(data_path("tiny-llama"), options())),
        generator_(std::make_unique<Generator>(llama_, GeneratorOptions{.context = 64})) {}

  // Lengths go round, so that sessions are resized again and again.
  void turn() {
    ++turns_;
    for (std::int64_t i = 0; i < 40; ++i) {
      const std::int64_t tokens = 1 + (turns_ + i) % 7;
      const std::vector<float> x(static_cast<std::size_t>(tokens * 4), 0.5F);
      (void)attention_.run({{input_, {tokens, 4}, std::span(x)}});
      ++inferences;
    }
    const std::vector<Tokens> texts{prompt(turns_ % 11 + 1), prompt(turns_ % 5 + 1)};
    (void)bert_.embed(texts);
    ++inferences;
    const Generation answer = generator_->generate(
        prompt(turns_ % 13 + 1), {.max_tokens = 8, .sampling = {.temperature = 0.9, .seed = 1}});
    inferences += 1 + answer.forwards;
    constexpr std::int64_t seldom = 16;
    if (turns_ % seldom == 0) open_and_close();
  }

  std::int64_t inferences = 0;

 private:
  static Tokens prompt(std::int64_t length) {
    Tokens tokens;
    for (std::int64_t t = 0; t < length; ++t) {
      tokens.push_back(static_cast<std::int32_t>(3 + length * t));
    }
    return tokens;
  }

  void open_and_close() {
    Model llama = Model::open(data_path("tiny-llama"), options());
    Generator generator(llama, {.context = 32});
    inferences += 1 + generator.generate(prompt(9), {.max_tokens = 4}).forwards;
    Model bert = Model::open(data_path("tiny-bert"), options());
    (void)bert.embed(std::vector<Tokens>{prompt(6)});
    ++inferences;
    generator_ = std::make_unique<Generator>(llama_, GeneratorOptions{.context = 64});
  }

  std::int64_t turns_ = 0;
  Model attention_, bert_, llama_;
  std::string input_ = attention_.inputs()[0].name;
  std::unique_ptr<Generator> generator_;
};

}  // namespace

TEST_CASE("memory, descriptors and threads stay what they were after many inferences",
          "[load][soak]") {
  const std::int64_t many = long_form() ? 1'000'000 : 100'000;
  Host host;
  while (host.inferences < many / 5) host.turn();
  const Resources warm = resources();
  while (host.inferences < many) host.turn();
  const Resources now = resources();
  const auto drift = static_cast<std::ptrdiff_t>(now.resident - warm.resident);
  WARN(host.inferences << " inferences: " << warm.resident << " bytes resident after warm-up, "
                       << drift << " more at the end; " << now.descriptors << " descriptors, "
                       << now.threads << " threads");
  CHECK(now.descriptors == warm.descriptors);
  CHECK(now.threads == warm.threads);
#ifndef ATTN_SANITIZED  // their shadows grow
  CHECK(drift < 1 << 20);
#endif
}
