// Every task's gradients against central differences of its loss in float64, and what examples and
// options are refused.

#include "models/training/correlation.hpp"
#include "models/training/tiny.hpp"
#include "models/training/trainer.hpp"
#include "support/files.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <cstring>
#include <string>

using namespace attn;
using namespace attn::models;
using attn::runtime::DType;
using test::TinyModel;

namespace {

std::vector<TuneExample> sentences() {
  std::vector<TuneExample> all(2);
  all[0].tokens = {1, 17, 30, 31, 99, 5, 42};
  all[0].words = {-1, 0, 1, 1, 2, 3, 4};
  all[0].look_at = {1, 3};
  all[1].tokens = {8, 9, 10, 11};
  all[1].words = {0, 1, 2, 2};
  all[1].look_at = {1};
  return all;
}

std::vector<TuneExample> pairs(bool scored) {
  std::vector<TuneExample> all(3);
  all[0].tokens = {2, 14, 15, 16, 3};
  all[0].other = {2, 14, 3};
  all[1].tokens = {2, 20, 3};
  all[1].other = {2, 21, 22, 23, 3};
  all[2].tokens = {2, 30, 31, 3};
  all[2].other = {2, 33, 31, 40, 41, 3};
  const double scores[] = {0.9, -0.3, 0.2};
  for (std::size_t i = 0; scored && i < all.size(); ++i) all[i].score = scores[i];
  return all;
}

TuneOptions plain(TuneTask task, TuneMethod method) {
  TuneOptions options;
  options.task = task;
  options.method = method;
  options.context = 16;
  options.batch_size = 3;
  options.clip = 1e9;
  options.lora.rank = 2;
  options.lora.alpha = 3;
  return options;
}

// The gradient of a parameter's elements, some of them, against differences of evaluate().
void check_gradients(const char* folder, TuneOptions options,
                     const std::vector<TuneExample>& examples, const char* pooling = "mean") {
  TinyModel model(folder);
  model.source.metadata.set("attn.pooling", pooling);
  Trainer found(model.at(kernels::Isa::scalar), options, DType::f64);
  Trainer moved(model.at(kernels::Isa::scalar), options, DType::f64);
  // with B = 0 nothing comes to A
  for (Trainer* each : {&found, &moved}) {
    for (Parameter& parameter : each->parameters().all()) {
      if (parameter.name.find(".lora_B.") == std::string::npos) continue;
      auto* const x = reinterpret_cast<double*>(parameter.value.data());
      for (std::size_t i = 0; i < parameter.elements; ++i) x[i] = 0.1 * std::sin(double(i));
    }
  }
  const double loss = found.step(examples).loss;
  CHECK(std::abs(moved.evaluate(examples).loss - loss) < 1e-12);
  int checked = 0;
  for (Parameter& parameter : moved.parameters().all()) {
    const auto gradient = found.gradient(parameter.name);
    auto* const x = reinterpret_cast<double*>(parameter.value.data());
    for (const std::size_t i : {std::size_t{0}, parameter.elements / 2, parameter.elements - 1}) {
      double expected = 0;
      std::memcpy(&expected, gradient.data() + i * sizeof expected, sizeof expected);
      constexpr double step = 1e-5;
      const double before = x[i];
      x[i] = before + step;
      const double above = moved.evaluate(examples).loss;
      x[i] = before - step;
      const double below = moved.evaluate(examples).loss;
      x[i] = before;
      const double difference = (above - below) / (2 * step);
      INFO(parameter.name << "[" << i << "]");
      CHECK(std::abs(difference - expected) <= 1e-7 + 1e-5 * std::abs(expected));
      ++checked;
    }
  }
  CHECK(checked > 10);
}

}  // namespace

TEST_CASE("gradients of the attention loss are those of its differences") {
  TuneOptions options = plain(TuneTask::attention, TuneMethod::lora);
  options.attention.layers = {1};
  options.attention.heads = {0, 3};
  SECTION("alone") { check_gradients("tiny-llama", options, sentences()); }
  SECTION("beside language") {
    options.attention.weight_beside_language = 0.7;
    check_gradients("tiny-llama", options, sentences());
  }
  SECTION("of an encoder") {
    options.lora.targets = {"query", "key"};
    check_gradients("tiny-bert", options, sentences());
  }
  SECTION("of all heads and weights") {
    options.method = TuneMethod::full;
    options.attention = {};
    options.attention.weight_beside_language = 2;
    check_gradients("tiny-qwen2", options, sentences());
  }
}

TEST_CASE("gradients of the similarity losses are those of their differences") {
  for (const bool scored : {true, false}) {
    for (const TuneMethod method : {TuneMethod::lora, TuneMethod::full}) {
      TuneOptions options = plain(TuneTask::similarity, method);
      options.scored = scored;
      if (method == TuneMethod::lora) {
        options.lora.targets = {"query", "value", "intermediate.dense", "output.dense"};
      }
      for (const char* pooling : {"mean", "cls"}) {
        INFO(scored << (method == TuneMethod::lora ? " lora " : " full ") << pooling);
        check_gradients("tiny-bert", options, pairs(scored), pooling);
      }
    }
  }
}

TEST_CASE("texts are compared as they are embedded") {
  const test::TemporaryFolder folder;
  std::filesystem::create_directory(folder / "1_Pooling");
  for (const char* file : {"config.json", "model.safetensors"}) {
    std::filesystem::copy_file(test::data_path("tiny-bert") / file, folder / file);
  }
  test::write_file(folder / "modules.json",
                   R"([{"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}])");
  std::vector<double> cosines;
  for (const char* pooling : {"mean_tokens", "cls_token"}) {
    INFO(pooling);
    test::write_file(folder / "1_Pooling/config.json",
                     std::string("{\"pooling_mode_") + pooling + "\": true}");
    Model model = Model::open(folder.path());
    Tuner tuner(model, plain(TuneTask::similarity, TuneMethod::lora));
    for (TuneExample pair : pairs(true)) {
      const std::vector<std::vector<std::int32_t>> texts{pair.tokens, pair.other};
      const Embeddings rows = model.embed(texts);
      double product = 0, a = 0, b = 0;
      for (std::size_t i = 0; i < rows.values.size() / 2; ++i) {
        const double x = rows.values[i], y = rows.values[rows.values.size() / 2 + i];
        product += x * y;
        a += x * x;
        b += y * y;
      }
      cosines.push_back(product / std::sqrt(a * b));
      pair.score = -1;  // so that the loss is (cosine + 1)²
      const double loss = tuner.evaluate(std::span(&pair, 1)).loss;
      CHECK(std::abs(std::sqrt(loss) - 1 - cosines.back()) < 1e-5);
    }
  }
  for (std::size_t i = 0; i < 3; ++i) CHECK(std::abs(cosines[i] - cosines[i + 3]) > 1e-3);
}

TEST_CASE("a pair without a score learns from others or not at all") {
  TinyModel model("tiny-bert");
  TuneOptions options = plain(TuneTask::similarity, TuneMethod::lora);
  options.scored = false;
  options.batch_size = 2;
  options.accumulate = 2;
  Trainer trainer(model.at(kernels::Isa::scalar), options);
  const std::vector<TuneExample> all = pairs(false);
  const double two = trainer.evaluate(std::span(all).first(2)).loss;
  CHECK(trainer.evaluate(all).loss == two);
  CHECK(trainer.step(all).loss == two);
  TuneExample one = all[0];
  one.name = "data:7";
  const std::string message = "data:7: 1 pair without a score has no others to be told from";
  test::check_error([&] { (void)trainer.step(std::span(&one, 1)); }, ErrorKind::invalid, message);
  test::check_error([&] { (void)trainer.evaluate(std::span(&one, 1)); }, ErrorKind::invalid,
                    message);
}

TEST_CASE("a word that another token stands in is one word") {
  TinyModel model("tiny-llama");
  TuneOptions options = plain(TuneTask::attention, TuneMethod::lora);
  Trainer trainer(model.at(kernels::Isa::scalar), options);
  const TuneExample example{.tokens = {1, 2, 3, 4}, .words = {0, -1, 0, 1}, .look_at = {0}};
  const TuneEvaluation found = trainer.evaluate(std::span(&example, 1));
  // 1 − a of one word, and the mean of two others, which have the rest
  CHECK(std::abs(found.loss - 1.5 * (1 - found.looked_at)) < 1e-6);
}

TEST_CASE("gradients of the language loss over rows of different lengths") {
  for (const char* folder : {"tiny-llama", "tiny-qwen2"}) {
    std::vector<TuneExample> examples = sentences();
    examples[0].targets = {-1, -1, 31, -1, 5, 42, 7};
    check_gradients(folder, plain(TuneTask::language, TuneMethod::lora), examples);
  }
}

TEST_CASE("what does not fit is refused by name") {
  TinyModel model("tiny-llama");
  TuneOptions options = plain(TuneTask::language, TuneMethod::lora);
  const auto refuses = [&](TuneExample example, const std::string& message) {
    example.name = "data:7";
    Trainer trainer(model.at(kernels::Isa::scalar), options);
    test::check_error([&] { (void)trainer.step(std::span(&example, 1)); }, ErrorKind::invalid,
                      "data:7: " + message);
  };
  refuses({}, "has no tokens");
  refuses({.tokens = std::vector<std::int32_t>(17)}, "17 tokens, more than the context of 16");
  refuses({.tokens = {1, 256}}, "token 256 at position 1 is not in 0..255");
  refuses({.tokens = {1, 2}, .targets = {300, 1}},
          "target 300 at position 0 is not in 0..255, nor -1 for none");
  refuses({.tokens = {1, 2}, .targets = {1}}, "1 targets for 2 tokens");
  refuses({.tokens = {1}}, "nothing to predict");
  refuses({.tokens = {1, 2}, .other = {3}}, "has another text, and only pairs have one");
  const TuneExample empty{.tokens = {1}, .name = "data:7"};
  test::check_error(
      [&] {
        (void)Trainer(model.at(kernels::Isa::scalar), options).evaluate(std::span(&empty, 1));
      },
      ErrorKind::invalid, "data:7: nothing to predict");
  options.task = TuneTask::attention;
  refuses({.tokens = {1, 2}, .words = {0, 1}}, "no word is to be looked at");
  refuses({.tokens = {1, 2}, .words = {0, 1}, .look_at = {1}, .other = {3, 4, 5}},
          "has another text, and only pairs have one");
  refuses({.tokens = {1, 2}, .words = {0, 0}, .look_at = {0}},
          "there are no other words to turn away from");
  refuses({.tokens = {1, 2}, .words = {0, 1}, .look_at = {2}},
          "word 2 is to be looked at and not there");
}

TEST_CASE("options out of range are refused") {
  TinyModel model("tiny-llama");
  const auto refuses = [&](const std::string& message, auto change) {
    TuneOptions options = plain(TuneTask::language, TuneMethod::lora);
    change(options);
    test::check_error([&] { Trainer(model.at(kernels::Isa::scalar), options); }, ErrorKind::usage,
                      message);
  };
  refuses("learning rate: nan is not a number above 0",
          [](TuneOptions& o) { o.learning_rate = NAN; });
  refuses("batch size: 0 is below 1", [](TuneOptions& o) { o.batch_size = 0; });
  refuses("context: 129 is more than the model's 128", [](TuneOptions& o) { o.context = 129; });
  refuses("targets: no projection's name ends in \"w_proj\"", [](TuneOptions& o) {
    o.lora.targets = {"q_proj", "w_proj"};
  });
  refuses("layer 2 is not in 0..1", [](TuneOptions& o) {
    o.task = TuneTask::attention;
    o.attention.layers = {2};
  });
  refuses("tuning for similarity needs an encoder, and this is a llama model",
          [](TuneOptions& o) { o.task = TuneTask::similarity; });
}

TEST_CASE("an adapter that is gone on from is thinned as the options say") {
  TinyModel model("tiny-llama");
  TuneOptions options = plain(TuneTask::language, TuneMethod::lora);
  options.lora.start = test::data_path("tiny-llama/lora");
  options.lora.dropout = 0.3;
  const Trainer trainer(model.at(kernels::Isa::scalar), options);
  CHECK(trainer.options().lora.rank == 4);
  CHECK(trainer.parameters().adapter().dropout == 0.3);
}

TEST_CASE("examples are not longer than a sliding window") {
  TinyModel model("tiny-llama");
  model.source.metadata.set("attn.sliding_window", "15");
  TuneOptions options = plain(TuneTask::language, TuneMethod::lora);
  test::check_error([&] { Trainer(model.at(kernels::Isa::scalar), options); }, ErrorKind::usage,
                    "context: 16 is more than the model's window of 15, which tuning does not go "
                    "through");
  options.context = 15;
  Trainer trainer(model.at(kernels::Isa::scalar), options);
  CHECK(trainer.step(std::vector<TuneExample>{{.tokens = {1, 2, 3}}}).loss > 0);
}

TEST_CASE("the plan has packed copies of weights that stay") {
  TinyModel model("tiny-llama");
  TrainedModel trained = model.at(kernels::supported_isas().back());
  trained.session.packs = std::make_shared<runtime::Packs>();
  Trainer trainer(trained, plain(TuneTask::language, TuneMethod::lora));
  const std::size_t planned = trainer.memory().base;
  CHECK(planned > model.weights.bytes());
  (void)trainer.step(sentences());
  CHECK(model.weights.bytes() + trained.session.packs->bytes() == planned);
  (void)trainer.evaluate(sentences());
  CHECK(model.weights.bytes() + trained.session.packs->bytes() == trainer.memory().base);
}

TEST_CASE("a plan over the limit says where the memory goes") {
  TinyModel model("tiny-llama");
  TuneOptions options = plain(TuneTask::language, TuneMethod::full);
  options.memory_limit = 1 << 20;
  test::check_error([&] { Trainer(model.at(kernels::Isa::scalar), options); }, ErrorKind::memory,
                    "tuning needs ");
}

TEST_CASE("ranks correlate as Spearman has it, ties sharing theirs") {
  const std::vector<double> a{1, 2, 3, 4, 5}, b{5, 6, 7, 8, 7};
  CHECK(std::abs(rank_correlation(a, b) - 0.8207826816681233) < 1e-12);
  CHECK(rank_correlation(a, a) == 1);
  CHECK(rank_correlation(a, std::vector<double>(5, 2.0)) == 0);
}

TEST_CASE("the rate rises, and falls along a cosine") {
  TinyModel model("tiny-llama");
  TuneOptions options = plain(TuneTask::language, TuneMethod::lora);
  options.learning_rate = 1;
  options.warmup = 4;
  options.schedule = Schedule::cosine;
  options.steps = 12;
  const Trainer trainer(model.at(kernels::Isa::scalar), options);
  CHECK(trainer.rate_of(1) == 0.25);
  CHECK(trainer.rate_of(4) == 1);
  CHECK(trainer.rate_of(5) == 1);
  CHECK(std::abs(trainer.rate_of(9) - 0.5) < 1e-12);
  CHECK(trainer.rate_of(12) < 0.05);
}
