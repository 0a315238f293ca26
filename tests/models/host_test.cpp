// What a host brings of its own, through the C++ facade; all of it from C as well in
// tests/bindings.

#include "attn/host.hpp"

#include "attn/batch.hpp"
#include "attn/generator.hpp"
#include "kernels/isa.hpp"
#include "support/files.hpp"
#include "support/references.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace attn;
using test::data_path;

namespace {

const std::vector<std::int32_t> prompt{65, 124, 111, 17, 3};

void backwards(int tasks, void (*task)(void*, int), void* context) {
  for (int i = tasks; i-- > 0;) task(context, i);
}

std::vector<std::int32_t> answer(const Model& model, const std::vector<std::int32_t>& to = prompt) {
  return Generator(model).generate(to, {.max_tokens = 12, .sampling = {.temperature = 0}}).tokens;
}

}  // namespace

TEST_CASE("on a host's threads a model says the same, at every level", "[models][host]") {
  const std::vector<std::int32_t> many(100, 17);  // so that there is work for several threads
  for (const kernels::Isa isa : kernels::supported_isas()) {
    int regions = 0;
    Options own;
    own.isa = kernels::isa_name(isa);
    own.threads = 3;
    Options host = own;
    host.parallel_for = [&](int tasks, void (*task)(void*, int), void* context) {
      ++regions;
      backwards(tasks, task, context);
    };
    CHECK(answer(Model::open(data_path("tiny-llama"), host), many) ==
          answer(Model::open(data_path("tiny-llama"), own), many));
    CHECK(regions > 0);
  }
}

TEST_CASE("a log hears of the models it is for, and what it throws ends the call",
          "[models][host]") {
  std::vector<std::string> lines;
  Options options;
  options.log = [&](LogLevel, std::string_view line) { lines.emplace_back(line); };
  options.threads = 1;
  const Model model = Model::open(data_path("tiny-llama"), options);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("tiny-llama: llama, ") != std::string::npos);
  const Model silent = Model::open(data_path("tiny-llama"));
  CHECK(lines.size() == 1);
  const Generator generator(model);
  REQUIRE(lines.size() == 2);
  CHECK(lines[1].find("room for 128 tokens") != std::string::npos);
  options.log = [](LogLevel, std::string_view) { throw std::runtime_error("enough"); };
  CHECK_THROWS_WITH(Model::open(data_path("tiny-llama"), options), "enough");
}

TEST_CASE("a token ends every call under it until it is reset, and a copy is the same token",
          "[models][host]") {
  const CancelToken token;
  const CancelToken copy = token;
  Options options;
  options.cancel = token;
  Model model = Model::open(data_path("tiny-llama"), options);
  Model bert = Model::open(data_path("tiny-bert"), options);
  const std::vector<std::int32_t> expected = answer(model);
  Generator generator(model), own(model, {.cancel = CancelToken()});
  const std::vector<BatchPrompt> prompts{{prompt, 4}};
  const std::vector<std::vector<std::int32_t>> texts{{5, 6, 7}};
  copy.cancel();
  CHECK(token.cancelled());
  const auto cancelled = [](auto&& call) { test::require_error(ErrorKind::cancelled, {}, call); };
  cancelled([&] { generator.generate(prompt); });
  cancelled([&] { (void)generate_batch(model, prompts); });
  cancelled([&] { (void)bert.embed(texts); });
  cancelled([&] { (void)bert.attention(texts[0]); });
  cancelled([&] { (void)model.attention(prompt); });
  CHECK(own.generate(prompt, {.max_tokens = 12, .sampling = {.temperature = 0}}).tokens ==
        expected);
  CHECK(generate_batch(model, prompts, {.cancel = CancelToken()}).size() == 1);
  token.reset();
  CHECK(generator.generate(prompt, {.max_tokens = 12, .sampling = {.temperature = 0}}).tokens ==
        expected);
  CHECK(bert.embed(texts).width == 64);
}

TEST_CASE("an answer that another thread cancels is gone on from where it was", "[models][host]") {
  const CancelToken token;
  Options options;
  options.cancel = token;
  const Model model = Model::open(data_path("tiny-llama"), options);
  const std::vector<std::int32_t> expected = answer(model);
  Generator generator(model);
  for (int delay = 0; delay < 5; ++delay) {
    std::thread other([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(delay));
      token.cancel();
    });
    bool cancelled = false;
    constexpr int enough = 100'000;  // answers that no machine gives in 5 ms
    for (int i = 0; i < enough && !cancelled; ++i) {
      try {
        const Generation whole =
            generator.generate(prompt, {.max_tokens = 12, .sampling = {.temperature = 0}});
        REQUIRE(whole.tokens == expected);
      } catch (const Error& error) {
        REQUIRE(error.kind() == ErrorKind::cancelled);
        cancelled = true;
      }
    }
    other.join();
    REQUIRE(cancelled);
    token.reset();
    CHECK(generator.generate(prompt, {.max_tokens = 12, .sampling = {.temperature = 0}}).tokens ==
          expected);
  }
}
