// Caches that keep keys and values in fewer bits.

#include "attn/batch.hpp"
#include "attn/generator.hpp"
#include "kernels/isa.hpp"
#include "support/files.hpp"
#include "support/references.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <filesystem>

using namespace attn;
using Tokens = std::vector<std::int32_t>;

namespace {

constexpr KvType fewer_bits[] = {KvType::bf16, KvType::q8_0};

// tiny-llama's tensors as 2 heads of 32 on one, because q8_0 needs whole blocks.
class WideHeads {
 public:
  WideHeads() {
    std::filesystem::copy(test::data_path("tiny-llama"), folder_.path(),
                          std::filesystem::copy_options::recursive);
    test::Json config = test::Json::parse(test::read_file(folder_ / "config.json"));
    config["num_attention_heads"] = 2;
    config["num_key_value_heads"] = 1;
    config["head_dim"] = 32;
    test::write_file(folder_ / "config.json", config.dump());
  }

  [[nodiscard]] Model open(kernels::Isa isa, int threads) const {
    Options options;
    options.isa = kernels::isa_name(isa);
    options.threads = threads;
    options.precision = Precision::f32;
    return Model::open(folder_.path(), options);
  }

 private:
  test::TemporaryFolder folder_;
};

Tokens some_tokens(int count) {
  Tokens tokens;
  for (int i = 0; i < count; ++i) tokens.push_back((i * 37 + i * i) % 250 + 3);
  return tokens;
}

std::vector<float> logits(const Model& model, KvType type, int batch) {
  std::vector<float> all;
  Generator(model, {.batch = batch, .kv_type = type})
      .logits(some_tokens(100), [&](std::int64_t, std::span<const float> row) {
        all.insert(all.end(), row.begin(), row.end());
      });
  return all;
}

}  // namespace

TEST_CASE("logits of a cache in fewer bits are near, and have the same bits on any threads",
          "[models][cache]") {
  const WideHeads files;
  for (const kernels::Isa isa : kernels::supported_isas()) {
    const Model one = files.open(isa, 1), two = files.open(isa, 2), three = files.open(isa, 3);
    for (const int batch : {1, 8, 64}) {
      const std::vector<float> exact = logits(one, KvType::f32, batch);
      double largest = 0;
      for (const float logit : exact) {
        largest = std::max(largest, std::fabs(static_cast<double>(logit)));
      }
      for (const KvType type : fewer_bits) {
        INFO(kernels::isa_name(isa)
             << ", batches of " << batch << ", type " << static_cast<int>(type));
        const std::vector<float> near = logits(one, type, batch);
        const double difference = test::largest_difference(near, exact);
        CHECK(difference > 0);
        // numbers off by 2^-8, two layers deep, and sums in which they mostly cancel
        CHECK(difference <= largest * 0x1p-7);
        CHECK(logits(two, type, batch) == near);
        CHECK(logits(three, type, batch) == near);
      }
    }
  }
}

TEST_CASE("answers are the same in a batch, with guessed tokens and after other prompts",
          "[models][cache]") {
  const WideHeads files;
  const Tokens repeating{9, 8, 7, 6, 5, 9, 8, 7, 6, 5, 9, 8, 7};
  const std::vector<BatchPrompt> prompts{{.tokens = some_tokens(30), .max_tokens = 20},
                                         {.tokens = repeating, .max_tokens = 60},
                                         {.tokens = some_tokens(3), .max_tokens = 40}};
  for (const kernels::Isa isa : kernels::supported_isas()) {
    const Model model = files.open(isa, 2);
    for (const KvType type : fewer_bits) {
      INFO(kernels::isa_name(isa) << ", type " << static_cast<int>(type));
      const std::vector<Generation> together = generate_batch(
          model, prompts, {.parallel = 2, .kv_type = type, .sampling = {.temperature = 0}});
      Generator plain(model, {.kv_type = type});
      for (std::size_t p = 0; p < prompts.size(); ++p) {
        INFO("prompt " << p);
        GenerateOptions options{.max_tokens = prompts[p].max_tokens,
                                .sampling = {.temperature = 0}};
        const Generation alone = plain.generate(prompts[p].tokens, options);
        CHECK(together[p].tokens == alone.tokens);
        options.lookup = true;
        CHECK(Generator(model, {.kv_type = type}).generate(prompts[p].tokens, options).tokens ==
              alone.tokens);
        Tokens longer = alone.prompt;
        longer.insert(longer.end(), alone.tokens.begin(), alone.tokens.begin() + 5);
        const Generation next = plain.generate(longer, options);
        CHECK(next.reused > 0);
        CHECK(next.tokens == Generator(model, {.kv_type = type}).generate(longer, options).tokens);
      }
    }
  }
}

TEST_CASE("heads that are no whole blocks have no q8_0 cache", "[models][cache]") {
  const Model model = Model::open(test::data_path("tiny-llama"));
  test::require_error(ErrorKind::usage, {"Q8_0", "32", "16"},
                      [&] { Generator(model, {.kv_type = KvType::q8_0}); });
  const std::vector<BatchPrompt> prompt{{.tokens = {1}, .max_tokens = 1}};
  test::require_error(ErrorKind::usage, {"Q8_0", "32", "16"},
                      [&] { (void)generate_batch(model, prompt, {.kv_type = KvType::q8_0}); });
  CHECK(Generator(model, {.kv_type = KvType::bf16})
            .generate({{1}}, {.max_tokens = 3})
            .tokens.size() == 3);
}
