// Guessed tokens: what is guessed, and that the answer is the same with them and without.

#include "models/language/lookup.hpp"

#include "attn/generator.hpp"
#include "kernels/isa.hpp"
#include "support/references.hpp"

#include <catch2/catch.hpp>

using namespace attn;
using models::lookup_draft;
using Tokens = std::vector<std::int32_t>;

namespace {

Options options_at(kernels::Isa isa) {
  Options options;
  options.isa = kernels::isa_name(isa);
  options.threads = 2;
  return options;
}

// Long enough for a small model to repeat itself, and for choosing by chance not to.
const Tokens repeating{9, 8, 7, 6, 5, 9, 8, 7, 6, 5, 9, 8, 7};

void check_same(const Generation& with, const Generation& without) {
  CHECK(with.tokens == without.tokens);
  CHECK(with.finish == without.finish);
  CHECK(with.accepted <= with.proposed);
  CHECK(without.proposed == 0);
  // each run gives a token of its own, and those that were guessed right
  if (without.finish == Finish::length && !without.tokens.empty()) {
    CHECK(without.forwards == static_cast<int>(without.tokens.size()) - 1);
    CHECK(with.forwards + with.accepted == without.forwards);
  }
}

}  // namespace

TEST_CASE("what stood after the last tokens before is guessed", "[models][lookup]") {
  CHECK(lookup_draft(Tokens{}, 7).empty());
  CHECK(lookup_draft(Tokens{1}, 7).empty());
  CHECK(lookup_draft(Tokens{1, 2, 3, 2}, 7).empty());  // one token alone is no match
  CHECK(lookup_draft(Tokens{1, 2, 3, 4, 5, 1, 2}, 7) == Tokens{3, 4, 5});  // a short one
  CHECK(lookup_draft(Tokens{1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4}, 7) ==
        Tokens{5, 6, 7, 8, 9, 1, 2});
  CHECK(lookup_draft(Tokens{1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4}, 2) == Tokens{5, 6});
  CHECK(lookup_draft(Tokens{1, 2, 3, 4, 5, 1, 2, 3, 4}, 0).empty());
  // the longest match, and the latest of equal ones
  CHECK(lookup_draft(Tokens{1, 2, 3, 7, 0, 2, 3, 8, 0, 1, 2, 3}, 1) == Tokens{7});
  CHECK(lookup_draft(Tokens{2, 3, 7, 0, 2, 3, 8, 0, 2, 3}, 1) == Tokens{8});
  // a loop goes on
  CHECK(lookup_draft(Tokens{5, 5, 5, 5, 5}, 7) == Tokens{5, 5, 5, 5, 5, 5, 5});
  CHECK(lookup_draft(Tokens{1, 2, 1, 2, 1, 2}, 5) == Tokens{1, 2, 1, 2, 1});
}

TEST_CASE("an answer is the same with guessed tokens, likeliest or drawn", "[models][lookup]") {
  for (const kernels::Isa isa : kernels::supported_isas()) {
    INFO(kernels::isa_name(isa));
    const Model model = Model::open(test::data_path("tiny-llama"), options_at(isa));
    Generator plain(model), guessing(model);
    int accepted = 0;
    for (const double temperature : {0.0, 0.8, 5.0}) {
      for (const std::uint64_t seed : {1U, 2U, 3U}) {
        INFO("temperature " << temperature << ", seed " << seed);
        GenerateOptions options{
            .max_tokens = 80,
            .sampling = {
                .temperature = temperature, .repeat_penalty = seed == 3 ? 1.3 : 1.0, .seed = seed}};
        const Generation without = plain.generate(repeating, options);
        options.lookup = true;
        const Generation with = guessing.generate(repeating, options);
        check_same(with, without);
        accepted += with.accepted;
      }
    }
    CHECK(accepted > 0);
  }
}

TEST_CASE("a text that repeats itself takes fewer runs than it has tokens", "[models][lookup]") {
  const Model model = Model::open(test::data_path("tiny-llama"));
  Generator generator(model);
  const GenerateOptions likeliest{.max_tokens = 100, .sampling = {.temperature = 0}};
  GenerateOptions guessing = likeliest;
  guessing.lookup = true;
  const Generation without = generator.generate(repeating, likeliest);
  const Generation with = generator.generate(repeating, guessing);
  check_same(with, without);
  CHECK(with.forwards * 2 < without.forwards);
  // what was read and not accepted is no part of the next prompt
  Tokens longer = with.prompt;
  longer.insert(longer.end(), with.tokens.begin(), with.tokens.begin() + 11);
  longer.push_back(3);
  CHECK(
      generator.generate(longer, {.max_tokens = 9, .sampling = {.temperature = 0}}).tokens ==
      Generator(model).generate(longer, {.max_tokens = 9, .sampling = {.temperature = 0}}).tokens);
}

TEST_CASE("guessing ends where the answer does", "[models][lookup]") {
  const Model model = Model::open(test::data_path("tiny-llama"));
  for (const int most : {0, 1, 2, 5, -1}) {
    for (const int batch : {1, 2, 512}) {
      INFO(most << " tokens, batches of " << batch);
      Generator generator(model, {.context = 40, .batch = batch});
      GenerateOptions options{.max_tokens = most, .sampling = {.temperature = 0}};
      const Generation without = generator.generate(repeating, options);
      options.lookup = true;
      const Generation with = generator.generate(repeating, options);
      check_same(with, without);
      if (batch == 1) CHECK(with.proposed == 0);
      if (most < 0) CHECK(with.finish == Finish::context_full);
      if (most > 0) CHECK(with.tokens.size() == static_cast<std::size_t>(most));
      int calls = 0;
      options.on_token = [&](const GeneratedToken&) { return ++calls < 3; };
      const Generation cut = generator.generate(repeating, options);
      CHECK(cut.tokens ==
            Tokens(without.tokens.begin(),
                   without.tokens.begin() + static_cast<std::ptrdiff_t>(
                                                std::min<std::size_t>(3, without.tokens.size()))));
    }
  }
}
