// Many prompts at once give what each gives alone.

#include "attn/batch.hpp"

#include "kernels/isa.hpp"
#include "support/files.hpp"
#include "support/references.hpp"

#include <catch2/catch.hpp>

#include <set>

using namespace attn;
using Tokens = std::vector<std::int32_t>;

namespace {

Model tiny_llama(kernels::Isa isa, int threads) {
  Options options;
  options.isa = kernels::isa_name(isa);
  options.threads = threads;
  options.precision = Precision::f32;
  return Model::open(test::data_path("tiny-llama"), options);
}

// Of different lengths, so that slots become free one by one; two are longer than eight tokens.
std::vector<BatchPrompt> some_prompts() {
  std::vector<BatchPrompt> prompts;
  for (int p = 0; p < 21; ++p) {
    BatchPrompt& prompt = prompts.emplace_back();
    for (int t = 0; t <= (p % 7 == 3 ? 30 : p % 5); ++t) {
      prompt.tokens.push_back((p * 37 + t * 11) % 250 + 3);
    }
    prompt.max_tokens = p % 4 == 2 ? 40 : 5 + p;
  }
  prompts[4].max_tokens = 0;
  prompts[9].max_tokens = -1;
  return prompts;
}

}  // namespace

TEST_CASE("prompts that are answered together get the answers that each gets alone",
          "[models][batch]") {
  const std::vector<BatchPrompt> prompts = some_prompts();
  for (const kernels::Isa isa : kernels::supported_isas()) {
    const Model model = tiny_llama(isa, 2);
    for (const double temperature : {0.0, 0.8}) {
      for (const int parallel : {1, 3, 16, 64}) {
        INFO(kernels::isa_name(isa) << ", " << parallel << " at once, " << temperature);
        BatchOptions options;
        options.parallel = parallel;
        options.batch = 25;  // the longer prompts need more than one run
        options.sampling = {.temperature = temperature, .seed = 3};
        std::multiset<std::size_t> ended;
        options.on_answer = [&](std::size_t place, const Generation&) { ended.insert(place); };
        std::int64_t done = 0;
        options.progress = [&](std::int64_t now, std::int64_t total) {
          CHECK(now >= done);
          CHECK(total == 21);
          done = now;
        };
        const std::vector<Generation> together = generate_batch(model, prompts, options);
        CHECK(done == 21);
        REQUIRE(together.size() == prompts.size());
        Generator alone(model);
        for (std::size_t p = 0; p < prompts.size(); ++p) {
          INFO("prompt " << p);
          CHECK(ended.count(p) == 1);
          const Generation one =
              alone.generate(prompts[p].tokens,
                             {.max_tokens = prompts[p].max_tokens, .sampling = options.sampling});
          CHECK(together[p].tokens == one.tokens);
          CHECK(together[p].prompt == one.prompt);
          CHECK(together[p].finish == one.finish);
          CHECK(together[p].forwards == one.forwards);
        }
      }
    }
  }
}

TEST_CASE("a batch has the same bits on any number of threads", "[models][batch]") {
  const std::vector<BatchPrompt> prompts = some_prompts();
  const kernels::Isa isa = kernels::supported_isas().back();
  const BatchOptions drawn{.sampling = {.temperature = 1.5, .seed = 9}};
  const std::vector<Generation> one = generate_batch(tiny_llama(isa, 1), prompts, drawn);
  const std::vector<Generation> three = generate_batch(tiny_llama(isa, 3), prompts, drawn);
  for (std::size_t p = 0; p < prompts.size(); ++p) CHECK(one[p].tokens == three[p].tokens);
}

TEST_CASE("what does not fit into a batch is named", "[models][batch]") {
  const Model model = Model::open(test::data_path("tiny-llama"));
  CHECK(generate_batch(model, {}).empty());
  const auto refused = [&](ErrorKind kind, std::initializer_list<std::string_view> parts,
                           const std::vector<BatchPrompt>& prompts, const BatchOptions& options) {
    test::require_error(kind, parts, [&] { (void)generate_batch(model, prompts, options); });
  };
  const std::vector<BatchPrompt> one{{.tokens = {1, 2, 3}, .max_tokens = 1}};
  refused(ErrorKind::usage, {"parallel: 0", "1..64"}, one, {.parallel = 0});
  refused(ErrorKind::usage, {"parallel: 65"}, one, {.parallel = 65});
  refused(ErrorKind::usage, {"batch: 0"}, one, {.batch = 0});
  refused(ErrorKind::usage, {"context: 129", "128"}, one, {.context = 129});
  refused(ErrorKind::invalid, {"prompt 0: ", "3 tokens", "2"}, one, {.context = 2});
  refused(ErrorKind::invalid, {"prompt 1: ", "token 256", "0..255"},
          {{.tokens = {1}}, {.tokens = {1, 256}}}, {});
  refused(ErrorKind::invalid, {"line 7: ", "token -1"}, {{.tokens = {-1}, .name = "line 7"}}, {});
  const Model without = Model::open(test::data_path("tiny-qwen2"));
  test::require_error(ErrorKind::invalid, {"prompt 0: ", "begin token"}, [&] {
    (void)generate_batch(without, std::vector<BatchPrompt>{{.tokens = {}}});
  });
  const Model encoder = Model::open(test::data_path("tiny-bert"));
  test::require_error(ErrorKind::usage, {"bert"}, [&] { (void)generate_batch(encoder, one); });
  BatchOptions throwing;
  throwing.progress = [](std::int64_t, std::int64_t) { throw std::runtime_error("enough"); };
  CHECK_THROWS_AS(generate_batch(model, one, throwing), std::runtime_error);
}
