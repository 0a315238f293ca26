// Small models of every architecture against PyTorch's values, at every ISA level.

#include "attn/batch.hpp"
#include "attn/generator.hpp"
#include "kernels/isa.hpp"
#include "models/decoder_graph.hpp"
#include "models/language/decoder.hpp"
#include "models/source/source.hpp"
#include "models/weights.hpp"
#include "support/files.hpp"
#include "support/references.hpp"
#include "support/text_models.hpp"

#include <catch2/catch.hpp>

#include <bit>
#include <cstdlib>

using namespace attn;
using test::data_json;
using test::data_path;
using test::largest_difference;

namespace {

Options options_at(kernels::Isa isa, int threads) {
  Options options;
  options.isa = kernels::isa_name(isa);
  options.threads = threads;
  options.precision = Precision::f32;
  return options;
}

// The logits of all positions, read in batches of that many tokens.
std::vector<float> all_logits(const Model& model, const std::vector<std::int32_t>& ids, int batch) {
  Generator generator(model, {.batch = batch});
  std::vector<float> all;
  generator.logits(ids, [&](std::int64_t position, std::span<const float> row) {
    CHECK(position * static_cast<std::int64_t>(row.size()) ==
          static_cast<std::int64_t>(all.size()));
    all.insert(all.end(), row.begin(), row.end());
  });
  return all;
}

void check_language_model(const std::string& folder, const std::string& expected_file) {
  const test::Json expected = data_json(folder + "/" + expected_file);
  const auto ids = expected["ids"].get<std::vector<std::int32_t>>();
  const std::vector<double> logits = test::numbers(expected["logits"]);
  std::vector<float> first_of_level;
  for (const kernels::Isa isa : kernels::supported_isas()) {
    INFO(folder << " at " << kernels::isa_name(isa));
    const Model model = Model::open(data_path(folder), options_at(isa, 1));
    const std::vector<float> at_once = all_logits(model, ids, 512);
    CHECK(largest_difference(at_once, logits) <= 1e-4);
    CHECK(largest_difference(all_logits(model, ids, 1), at_once) <= 1e-5);
    CHECK(largest_difference(all_logits(model, ids, 3), at_once) <= 1e-5);
    const Model threaded = Model::open(data_path(folder), options_at(isa, 3));
    CHECK(all_logits(threaded, ids, 512) == at_once);
  }
}

}  // namespace

TEST_CASE("tiny llama (F32, untied head) gives PyTorch's logits", "[models][language]") {
  check_language_model("tiny-llama", "expected.json");
}

TEST_CASE("tiny qwen2 (BF16, biases, tied head) gives PyTorch's logits", "[models][language]") {
  check_language_model("tiny-qwen2", "loaded.json");
}

TEST_CASE("tiny qwen2 with rotary frequencies in bfloat16 gives what was made with those") {
  // expected.json comes from a model that was cast to bfloat16, its frequencies too; through the
  // scaling "factors" of the metadata they are the same here
  models::Source source = models::open_source(data_path("tiny-qwen2"), false);
  const models::Shapes shapes = [&] {
    models::Shapes all;
    for (const auto& entry : source.tensors) all[entry.name] = entry.shape;
    return all;
  }();
  test::Json factors = test::Json::array();
  for (const double exact : models::decoder_config(source.metadata, shapes).rope_frequencies) {
    auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(exact));
    bits = (bits + 0x7fffU + (bits >> 16 & 1U)) & 0xffff0000U;
    factors.push_back(exact / static_cast<double>(std::bit_cast<float>(bits)));
  }
  source.metadata.set("attn.rope_scaling",
                      test::Json{{"rope_type", "factors"}, {"factors", factors}}.dump());
  const auto specs = models::find_architecture("qwen2", true).weights(source.metadata, shapes);
  const models::Weights weights = models::Weights::from_source(source, specs);
  std::vector<models::WeightSpec> stored = specs;
  for (auto& spec : stored) spec.dtype = weights.all().find(spec.name)->second.dtype;
  const test::Json expected = data_json("tiny-qwen2/expected.json");
  const auto ids = expected["ids"].get<std::vector<std::int32_t>>();
  models::DecoderOptions options;
  options.context = options.batch = 16;
  options.session.isa = kernels::supported_isas().back();
  options.session.precision = runtime::Precision::f32;
  models::Decoder decoder(source.metadata, stored, weights, options);
  CHECK(largest_difference(decoder.forward(ids, static_cast<int>(ids.size())),
                           test::numbers(expected["logits"])) <= 1e-4);
}

TEST_CASE("tiny bert gives PyTorch's states and embedding, in any company", "[models][encoder]") {
  const test::Json expected = data_json("tiny-bert/expected.json");
  const auto ids = expected["ids"].get<std::vector<std::int32_t>>();
  for (const kernels::Isa isa : kernels::supported_isas()) {
    INFO(kernels::isa_name(isa));
    Model model = Model::open(data_path("tiny-bert"), options_at(isa, 1));
    const std::vector<std::int32_t> positions = [&] {
      std::vector<std::int32_t> all(ids.size());
      for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int32_t>(i);
      return all;
    }();
    const std::vector<std::int32_t> types(ids.size());
    const Dims shape{static_cast<std::int64_t>(ids.size())};
    const auto hidden = model.run({{"tokens", shape, std::span(ids)},
                                   {"positions", shape, std::span(positions)},
                                   {"token_types", shape, std::span(types)}});
    CHECK(largest_difference(hidden[0].values, test::numbers(expected["hidden"])) <= 1e-4);

    const std::vector<std::vector<std::int32_t>> texts{{1, 2, 3}, ids, {5}, {7, 8, 9, 10, 11}};
    const Embeddings together = model.embed(texts);
    REQUIRE(together.values.size() == texts.size() * static_cast<std::size_t>(together.width));
    const auto row = std::span(together.values)
                         .subspan(static_cast<std::size_t>(together.width),
                                  static_cast<std::size_t>(together.width));
    CHECK(largest_difference(row, test::numbers(expected["embedding"])) <= 1e-6);
    const Embeddings alone = model.embed(std::span(texts).subspan(1, 1));
    CHECK(largest_difference(row, alone.values) <= 1e-6);
    Model threaded = Model::open(data_path("tiny-bert"), options_at(isa, 3));
    CHECK(threaded.embed(texts).values == together.values);
    // more than is read together, the last of it a few rows; and products that rows decide about
    const std::vector<std::vector<std::int32_t>> many(147, {5, 6, 7, 8, 9, 10, 11});
    std::vector<float> expected_rounded;
    for (const int threads : {1, 3, 8}) {
      Options options = options_at(isa, threads);
      options.precision = Precision::bf16;
      Model rounded = Model::open(data_path("tiny-bert"), options);
      const std::vector<float> values = rounded.embed(many).values;
      if (threads == 1) expected_rounded = values;
      CHECK(values == expected_rounded);
    }
  }
}

TEST_CASE("a generator reads a prompt on from where it differs, and gives the same text",
          "[models][language]") {
  const Model model =
      Model::open(data_path("tiny-llama"), options_at(kernels::supported_isas().back(), 2));
  const GenerateOptions greedy{.max_tokens = 12, .sampling = {.temperature = 0}};
  const std::vector<std::int32_t> prompt{65, 124, 111, 17, 3};
  Generator generator(model);
  const Generation first = generator.generate(prompt, greedy);
  CHECK(first.tokens.size() == 12);
  CHECK(first.finish == Finish::length);
  CHECK(first.reused == 0);
  CHECK(first.text.empty());  // there is no tokenizer
  const Generation again = generator.generate(prompt, greedy);
  CHECK(again.reused == 4);  // the last token's logits are needed
  CHECK(again.tokens == first.tokens);
  std::vector<std::int32_t> longer = first.prompt;
  longer.insert(longer.end(), first.tokens.begin(), first.tokens.end());
  longer.push_back(9);
  const Generation next = generator.generate(longer, greedy);
  CHECK(next.reused >= static_cast<int>(first.prompt.size() + first.tokens.size()) - 1);
  CHECK(next.tokens == Generator(model).generate(longer, greedy).tokens);

  int calls = 0;
  GenerateOptions stopping = greedy;
  stopping.on_token = [&](const GeneratedToken&) { return ++calls < 3; };
  CHECK(generator.generate(prompt, stopping).finish == Finish::cancelled);
  CHECK(calls == 3);
  stopping.on_token = [](const GeneratedToken&) -> bool { throw std::runtime_error("enough"); };
  CHECK_THROWS_AS(generator.generate(prompt, stopping), std::runtime_error);
  CHECK(generator.generate(prompt, greedy).tokens == first.tokens);
}

TEST_CASE("a text ends at the end token, without a tokenizer too", "[models][language]") {
  const Model model = Model::open(data_path("tiny-llama"));
  CHECK(model.text().end_tokens == std::vector<std::int32_t>{2});  // of config.json
  CHECK(model.text().begin_token == 1);
  Generator generator(model);
  const std::vector<std::int32_t> prompt{3};
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const Generation answer = generator.generate(
        prompt, {.sampling = {.temperature = 5, .top_p = 1, .min_p = 0, .seed = seed}});
    const auto end = std::find(answer.tokens.begin(), answer.tokens.end(), 2);
    if (end == answer.tokens.end()) continue;
    CHECK(answer.finish == Finish::end_token);
    CHECK(end + 1 == answer.tokens.end());
    return;
  }
  FAIL("no text of 200 has ended");
}

TEST_CASE("a generator fills its context and no more, and says what does not fit",
          "[models][language]") {
  const Model model =
      Model::open(data_path("tiny-llama"), options_at(kernels::supported_isas().back(), 1));
  Generator small(model, {.context = 8});
  const Generation full = small.generate({{1, 2, 3}}, {.sampling = {.temperature = 0}});
  CHECK(full.finish == Finish::context_full);
  CHECK(full.prompt.size() + full.tokens.size() == 9);  // the last token needs no room of its own
  const std::vector<std::int32_t> nine(9, 1);
  test::require_error(ErrorKind::usage, {"9 tokens", "8"}, [&] { (void)small.generate(nine); });
  test::require_error(ErrorKind::invalid, {"token 256 at position 1", "0..255"}, [&] {
    (void)small.generate({{1, 256}});
  });
  test::require_error(ErrorKind::usage, {"129", "1..128"},
                      [&] { Generator(model, {.context = 129}); });
  test::require_error(ErrorKind::usage, {"batch"},
                      [&] { Generator(model, {.context = 8, .batch = 0}); });
  CHECK(small.generate({}, {.max_tokens = 0}).prompt == std::vector<std::int32_t>{1});  // bos
  const Model without = Model::open(data_path("tiny-qwen2"));
  test::require_error(ErrorKind::usage, {"empty", "begin token"},
                      [&] { (void)Generator(without).generate({}); });
  const Model encoder = Model::open(data_path("tiny-bert"));
  test::require_error(ErrorKind::usage, {"bert"}, [&] { Generator generator(encoder); });
}

TEST_CASE("perplexity reads ids it knows, and counts them", "[models][language]") {
  const Model model =
      Model::open(data_path("tiny-llama"), options_at(kernels::supported_isas().back(), 1));
  Generator two(model, {.context = 2});
  CHECK(two.perplexity({{1, 2, 3, 4}}).tokens == 4);
  CHECK(two.perplexity({{1, 2, 3}}).tokens == 2);  // the last would be alone
  Generator one_by_one(model, {.context = 16, .batch = 1});
  for (const std::int32_t unknown : {-1, 256, 2'000'000'000}) {
    test::require_error(ErrorKind::invalid,
                        {"token " + std::to_string(unknown) + " at position 1", "0..255"}, [&] {
                          (void)one_by_one.perplexity({{1, unknown, 5}});
                        });
  }
  Generator one(model, {.context = 1});
  test::require_error(ErrorKind::usage, {"context of 1"}, [&] { (void)one.perplexity({{1, 2}}); });
}

TEST_CASE("a generator refuses what would end every answer or none", "[models][language]") {
  const Model model = Model::open(data_path("tiny-llama"));
  Generator generator(model, {.context = 32});
  test::require_error(ErrorKind::usage, {"max_tokens: -7"},
                      [&] { (void)generator.generate({{1}}, {.max_tokens = -7}); });
  test::require_error(ErrorKind::usage, {"stop", "empty"}, [&] {
    (void)generator.generate({{1}}, {.stop = {"x", ""}});
  });
  test::require_error(ErrorKind::usage, {"prompt 0: max_tokens: -2"}, [&] {
    (void)generate_batch(model, std::vector<BatchPrompt>{{{1}, -2}}, {.context = 32});
  });
  test::require_error(ErrorKind::usage, {"stop"}, [&] {
    (void)generate_batch(model, std::vector<BatchPrompt>{{{1}, 2}}, {.context = 32, .stop = {""}});
  });
  test::require_error(ErrorKind::usage, {"logits"}, [&] { generator.logits({{1}}, nullptr); });
  const Generator other = std::move(generator);
  // NOLINTNEXTLINE(bugprone-use-after-move): that it says so is what is tested
  test::require_error(ErrorKind::usage, {"moved from"}, [&] { (void)generator.context(); });
}

TEST_CASE("nobody is told more of an answer that they ended", "[models][language]") {
  const test::TextModelFolder folder("llama");
  const Model model = Model::open(folder.path());
  Generator generator(model, {.context = 64});
  const std::vector<std::int32_t> prompt = model.tokenize("a b c");
  const Generation whole =
      generator.generate(prompt, {.max_tokens = 8, .sampling = {.temperature = 0}});
  REQUIRE(whole.text.size() > 1);
  // what the answer ends in begins a stop string, so that it is held back to the end
  GenerateOptions options{.max_tokens = 8, .sampling = {.temperature = 0}};
  options.stop = {whole.text.substr(whole.text.size() - 1) + "never"};
  std::string told;
  options.on_token = [&](const GeneratedToken& token) {
    told += token.text;
    return true;
  };
  CHECK(generator.generate(prompt, options).text == whole.text);
  CHECK(told == whole.text);
  int calls = 0;
  options.on_token = [&](const GeneratedToken&) {
    ++calls;
    return calls < 8;
  };
  const Generation ended = generator.generate(prompt, options);
  CHECK(calls == 8);
  CHECK(ended.finish == Finish::cancelled);
}

TEST_CASE("an encoder keeps its memory whichever of many and long texts come",
          "[models][encoder]") {
  std::size_t requests = 0;
  Options options;
  options.threads = 1;
  options.profile = true;
  options.allocator.allocate = [&](std::size_t bytes, std::size_t alignment) {
    ++requests;
    return std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  };
  options.allocator.release = [](void* block, std::size_t, std::size_t) { std::free(block); };
  Model model = Model::open(data_path("tiny-bert"), options);
  const std::vector<std::vector<std::int32_t>> one_long{std::vector<std::int32_t>(40, 7)};
  const std::vector<std::vector<std::int32_t>> many_short(12, {5, 6});
  (void)model.embed(one_long);
  (void)model.embed(many_short);
  const std::size_t before = requests;
  CHECK(before > 0);
  for (int i = 0; i < 3; ++i) {
    (void)model.embed(one_long);
    (void)model.embed(many_short);
  }
  CHECK(requests == before);
  std::int64_t calls = 0;
  for (const OpProfile& row : model.profile()) calls += row.calls;
  CHECK(calls % 8 == 0);
  CHECK(calls > 0);
}

TEST_CASE("attention of whole models sums to 1 over what a token may see", "[models][attention]") {
  for (const char* const folder : {"tiny-llama", "tiny-qwen2", "tiny-bert"}) {
    INFO(folder);
    Model model = Model::open(data_path(folder));
    std::vector<std::int32_t> ids(70);
    for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int32_t>(i * 37 % 250);
    if (!model.text().generates) ids.resize(64);
    const std::vector<int> layers{1};
    const AttentionMaps maps = model.attention(ids, layers);
    const std::size_t n = ids.size();
    REQUIRE(maps.weights.size() == static_cast<std::size_t>(maps.heads) * n * n);
    const AttentionMaps both = model.attention(ids);
    CHECK(std::equal(maps.weights.begin(), maps.weights.end(),
                     both.weights.begin() + static_cast<std::ptrdiff_t>(maps.weights.size())));
    for (std::size_t row = 0; row < maps.weights.size(); row += n) {
      const std::size_t query = row / n % n, seen = model.text().generates ? query + 1 : n;
      double sum = 0;
      for (std::size_t k = 0; k < n; ++k) {
        if (k >= seen) CHECK(maps.weights[row + k] == 0);
        sum += static_cast<double>(maps.weights[row + k]);
      }
      CHECK(std::fabs(sum - 1) <= 1e-5);
    }
    const std::vector<int> unknown{2};
    test::require_error(ErrorKind::usage, {"layer 2"},
                        [&] { (void)model.attention(ids, unknown); });
  }
  Model model = Model::open(data_path("tiny-llama"));
  const std::vector<int> twice{1, 0, 1};
  test::require_error(ErrorKind::usage, {"layer 1", "twice"}, [&] {
    (void)model.attention(std::vector<std::int32_t>{1, 2}, twice);
  });
}
