// attn::Tuner as an application uses it: its own loop, checkpoints, an end from another thread, and
// a model that stays as it was.

#include "attn/generator.hpp"
#include "attn/tune.hpp"
#include "models/training/tiny.hpp"
#include "support/files.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <cmath>
#include <functional>
#include <thread>

using namespace attn;
using namespace attn::test;

namespace {

Options plain_options() {
  Options options;
  options.threads = 2;
  options.precision = Precision::f32;
  return options;
}

Model tiny_llama(const Options& options = plain_options()) {
  return Model::open(data_path("tiny-llama"), options);
}

std::vector<TuneExample> examples(int count, int length = 16) {
  std::vector<TuneExample> all;
  for (int i = 0; i < count; ++i) {
    TuneExample& example = all.emplace_back();
    for (int k = 0; k < length; ++k) example.tokens.push_back((7 * i + 3 * k) % 256);
  }
  return all;
}

TuneOptions tune_options(TuneMethod method, int batch_size = 4) {
  TuneOptions options;
  options.method = method;
  options.context = 64;
  options.batch_size = batch_size;
  options.learning_rate = 0.01;
  options.lora.dropout = method == TuneMethod::lora ? 0.1 : 0;
  return options;
}

constexpr TuneMethod methods[] = {TuneMethod::lora, TuneMethod::full};

// Of a file's bytes, which nobody wants to read where they differ.
std::size_t hash_of(const std::filesystem::path& file) {
  return std::hash<std::string>()(read_file(file));
}

// Of everything that a step may change.
std::size_t state_of(const Tuner& tuner, const TemporaryFolder& folder) {
  tuner.save_checkpoint(folder / "state");
  return hash_of(folder / "state");
}

std::vector<std::int32_t> answer(const Model& model) {
  const std::vector<std::int32_t> prompt{3, 6, 9, 12};
  return Generator(model)
      .generate(prompt, {.max_tokens = 8, .sampling = {.temperature = 0}})
      .tokens;
}

std::vector<float> logits(const Model& model, const std::vector<std::int32_t>& tokens) {
  std::vector<float> all;
  Generator(model).logits(tokens, [&](std::int64_t, std::span<const float> row) {
    all.insert(all.end(), row.begin(), row.end());
  });
  return all;
}

}  // namespace

TEST_CASE("an application's own loop learns, evaluates, saves and goes on", "[training]") {
  for (const TuneMethod method : methods) {
    const TemporaryFolder folder;
    Model model = tiny_llama();
    const std::vector<TuneExample> train = examples(4), held_out = examples(2);
    const TuneOptions options = tune_options(method);
    Tuner tuner(model, options);
    CHECK(tuner.steps() == 0);
    const TuneEvaluation before = tuner.evaluate(held_out);
    std::vector<double> losses;
    for (int i = 1; i <= 8; ++i) {
      const TuneStep step = tuner.step(train);
      CHECK(step.step == i);
      CHECK(step.tokens == 4 * 16);
      losses.push_back(step.loss);
      if (i == 5) tuner.save_checkpoint(folder / "five", {{"best", "2.5"}, {"no", "\"\n"}});
      if (i == 6) {
        CHECK(tuner.evaluate(held_out).loss < before.loss);
        require_error(ErrorKind::io, {(folder / "five").string()},
                      [&] { tuner.save(folder / "five" / "below"); });
      }
    }
    CHECK(losses.back() < losses.front());
    tuner.save(folder / "saved");

    // the same steps from the checkpoint, in another tuner and in this one
    Tuner other(model, options);
    for (Tuner* const each : {&other, &tuner}) {
      const auto notes = each->resume(folder / "five");
      CHECK(notes == std::map<std::string, std::string>{{"best", "2.5"}, {"no", "\"\n"}});
      CHECK(each->steps() == 5);
      for (std::size_t i = 5; i < 8; ++i) CHECK(each->step(train).loss == losses[i]);
      each->save(folder / "again");
      const std::string file = method == TuneMethod::lora ? "/adapter_model.safetensors" : "";
      CHECK(hash_of((folder / "saved").string() + file) ==
            hash_of((folder / "again").string() + file));
    }
  }
}

TEST_CASE("what was saved does as well as the tuner said", "[training]") {
  for (const TuneMethod method : methods) {
    const TemporaryFolder folder;
    Model model = tiny_llama();
    TuneOptions tune = tune_options(method);
    tune.learning_rate = 0.003;
    Tuner tuner(model, tune);
    for (int i = 0; i < 10; ++i) tuner.step(examples(4));
    const std::vector<TuneExample> held_out = examples(1, 40);
    const TuneEvaluation expected = tuner.evaluate(held_out);
    CHECK(expected.perplexity == Approx(std::exp(expected.loss)).epsilon(1e-12));

    tuner.save(folder / "saved");
    Options options = plain_options();
    if (method == TuneMethod::lora) options.adapters.push_back({folder / "saved"});
    Model tuned =
        method == TuneMethod::lora ? tiny_llama(options) : Model::open(folder / "saved", options);
    CHECK(Generator(tuned).perplexity(held_out[0].tokens).value ==
          Approx(expected.perplexity).epsilon(1e-5));
    // and tuned further it begins there
    CHECK(Tuner(tuned, tune).evaluate(held_out).loss == Approx(expected.loss).epsilon(1e-6));
  }
}

TEST_CASE("between steps the model is the one that came, and two tuners follow one another",
          "[training]") {
  for (const TuneMethod method : methods) {
    Model model = tiny_llama();
    const std::vector<std::int32_t> tokens = examples(1)[0].tokens;
    const std::vector<std::int32_t> expected = answer(model);
    const std::vector<float> expected_logits = logits(model, tokens);
    std::vector<double> first;
    {
      Tuner tuner(model, tune_options(method));
      for (int i = 0; i < 5; ++i) {
        first.push_back(tuner.step(examples(4)).loss);
        CHECK(answer(model) == expected);
        CHECK(logits(model, tokens) == expected_logits);
      }
    }
    CHECK(logits(model, tokens) == expected_logits);
    Tuner second(model, tune_options(method));
    for (const double loss : first) CHECK(second.step(examples(4)).loss == loss);
  }
}

TEST_CASE("a tuner can be moved", "[training]") {
  const TemporaryFolder folder;
  Model model = tiny_llama();
  Tuner first(model, tune_options(TuneMethod::lora));
  first.step(examples(4));
  const std::size_t state = state_of(first, folder);
  Tuner second(std::move(first));
  CHECK(state_of(second, folder) == state);
  first =
      Tuner(model, tune_options(TuneMethod::full));  // one that was moved from may be assigned to
  CHECK(first.steps() == 0);
  CHECK(first.step(examples(4)).step == 1);
  first = std::move(second);
  CHECK(state_of(first, folder) == state);
  CHECK(first.step(examples(4)).step == 2);
}

TEST_CASE("cancelled from another thread, a step is done whole or not at all", "[training]") {
  struct Way {
    TuneMethod method;
    int accumulate;
    double clip;
  };
  for (const Way& way : {Way{TuneMethod::lora, 1, 0}, Way{TuneMethod::lora, 3, 0},
                         Way{TuneMethod::full, 1, 0}, Way{TuneMethod::full, 1, 1}}) {
    const TemporaryFolder folder;
    Model model = tiny_llama();
    TuneOptions options = tune_options(way.method, 12 / way.accumulate);
    options.accumulate = way.accumulate;
    options.clip = way.clip;
    const std::vector<TuneExample> train = examples(12, 64);
    for (int delay = 0; delay < 12; ++delay) {
      INFO("method " << static_cast<int>(way.method) << ", accumulate " << way.accumulate
                     << ", clip " << way.clip << ", " << delay << " ms");
      Tuner tuner(model, options);
      std::atomic<bool> begun{false};
      std::thread other([&] {
        while (!begun) std::this_thread::yield();
        std::this_thread::sleep_for(std::chrono::milliseconds(delay));
        tuner.cancel();
      });
      std::int64_t done = 0;
      bool cancelled = false;
      constexpr int enough = 10'000;  // steps that no machine does in 12 ms
      for (int i = 0; i < enough && !cancelled; ++i) {
        try {
          begun = true;
          done = tuner.step(train).step;
        } catch (const Error& error) {
          cancelled = error.kind() == ErrorKind::cancelled;
        }
      }
      other.join();
      REQUIRE(cancelled);
      CHECK(tuner.steps() == done);
      Tuner expected(model, options);
      for (std::int64_t i = 0; i < done; ++i) expected.step(train);
      CHECK(state_of(tuner, folder) == state_of(expected, folder));
      check_error([&] { tuner.step(train); }, ErrorKind::cancelled, "");
      check_error([&] { tuner.evaluate(train); }, ErrorKind::cancelled, "");
    }
  }
}

TEST_CASE("checkpoints of anything else are refused and change nothing", "[training]") {
  const TemporaryFolder folder;
  Model model = tiny_llama();
  const TuneOptions options = tune_options(TuneMethod::lora);
  Tuner tuner(model, options);
  tuner.step(examples(4));
  tuner.save_checkpoint(folder / "one");
  const std::string good = read_file(folder / "one");

  const auto refused = [&](Model& of, const TuneOptions& other, const std::string& message) {
    Tuner another(of, other);
    another.step(examples(2));
    const std::size_t state = state_of(another, folder);
    require_error(ErrorKind::invalid, {(folder / "one").string(), message},
                  [&] { another.resume(folder / "one"); });
    CHECK(state_of(another, folder) == state);
  };
  const auto changed = [&](auto&& change) {
    TuneOptions other = options;
    change(other);
    refused(model, other, "another tuning");
  };
  changed([](TuneOptions& o) { o.lora.rank = 4; });
  changed([](TuneOptions& o) { o.lora.alpha = 8; });
  changed([](TuneOptions& o) { o.lora.dropout = 0; });
  changed([](TuneOptions& o) { o.lora.targets = {"q_proj"}; });
  changed([](TuneOptions& o) { o.learning_rate = 0.02; });
  changed([](TuneOptions& o) { o.weight_decay = 0; });
  changed([](TuneOptions& o) { o.batch_size = 5; });
  changed([](TuneOptions& o) { o.seed = 1; });
  changed([](TuneOptions& o) { o.clip = 1; });
  changed([](TuneOptions& o) { o.warmup = 3; });
  changed([](TuneOptions& o) { o.method = TuneMethod::full; });
  Model qwen = Model::open(data_path("tiny-qwen2"), plain_options());
  refused(qwen, options, "another model");

  const auto with_adapter = [](double scale) {
    Options whole = plain_options();
    whole.adapters.push_back({data_path("tiny-llama/lora"), scale});
    return tiny_llama(whole);
  };
  Model whole = with_adapter(1), half = with_adapter(0.5);
  Tuner(whole, options).save_checkpoint(folder / "one");
  refused(half, options, "another tuning");
  refused(model, options, "another");
  write_file(folder / "one", good);

  for (std::size_t at = 0; at < good.size(); at += good.size() / 97) {
    INFO("byte " << at);
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 4);
    write_file(folder / "one", bad);
    CHECK_THROWS_AS(tuner.resume(folder / "one"), Error);
    write_file(folder / "one", good.substr(0, at));
    require_error(ErrorKind::invalid, {(folder / "one").string()},
                  [&] { tuner.resume(folder / "one"); });
  }
  require_error(ErrorKind::invalid, {"model.safetensors", "no checkpoint"},
                [&] { tuner.resume(data_path("tiny-llama/model.safetensors")); });
  require_error(ErrorKind::io, {"missing"}, [&] { tuner.resume(folder / "missing"); });
  CHECK(tuner.steps() == 1);
}

TEST_CASE("all weights are tuned of a model without adapters only", "[training]") {
  Options options = plain_options();
  options.adapters.push_back({data_path("tiny-llama/lora")});
  Model model = tiny_llama(options);
  check_error([&] { Tuner(model, tune_options(TuneMethod::full)); }, ErrorKind::usage,
              "full tuning is not of a model with adapters: merge them first");
}

TEST_CASE("an adapter names its model, however the path was written", "[training]") {
  const TemporaryFolder folder;
  const std::filesystem::path path = data_path("tiny-llama");
  for (const std::filesystem::path& each : {path, path / "", path / "lora" / ".." / ""}) {
    Model model = Model::open(each, plain_options());
    Tuner(model, tune_options(TuneMethod::lora)).save(folder / "saved");
    CHECK(read_file(folder / "saved/adapter_config.json")
              .find(R"("base_model_name_or_path": "tiny-llama")") != std::string::npos);
  }
}

TEST_CASE("weights that are no numbers are not written, and what was written stays", "[training]") {
  for (const TuneMethod method : methods) {
    const TemporaryFolder folder;
    Model model = tiny_llama();
    TuneOptions options = tune_options(method);
    options.learning_rate = 1e300;  // no float
    Tuner tuner(model, options);
    tuner.save_checkpoint(folder / "good");
    tuner.save(folder / "saved");
    const std::size_t good = hash_of(folder / "good");
    CHECK(std::isfinite(tuner.step(examples(4)).loss));  // which was before the update
    require_error(ErrorKind::numerical, {(folder / "good").string(), "not written"},
                  [&] { tuner.save_checkpoint(folder / "good"); });
    require_error(ErrorKind::numerical, {(folder / "saved").string(), "not written"},
                  [&] { tuner.save(folder / "saved"); });
    check_error([&] { tuner.evaluate(examples(4)); }, ErrorKind::numerical,
                "tuning: the loss after step 1 is NaN");
    check_error([&] { tuner.step(examples(4)); }, ErrorKind::numerical,
                "tuning: the loss of step 2 is NaN");
    CHECK(hash_of(folder / "good") == good);
    tuner.resume(folder / "good");
    CHECK(std::isfinite(tuner.evaluate(examples(4)).loss));
    CHECK(tuner.steps() == 0);
  }
}

TEST_CASE("a tuner that was moved from refuses all work", "[training]") {
  Model model = tiny_llama();
  TuneOptions options;
  options.context = 16;
  Tuner tuner(model, options);
  const Tuner other = std::move(tuner);
  // NOLINTNEXTLINE(bugprone-use-after-move): that it says so is what is tested
  require_error(ErrorKind::usage, {"moved from"}, [&] { (void)tuner.steps(); });
  tuner.cancel();
  CHECK(other.steps() == 0);
}
