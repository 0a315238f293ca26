// The same for what writes: the target is the old file or the new one, and nothing is left beside
// it.

#include "attn/convert.hpp"
#include "attn/tune.hpp"
#include "attn/tune_data.hpp"
#include "attn/tune_run.hpp"
#include "faults/sweep.hpp"
#include "models/errors.hpp"
#include "runtime/formats/atomic_file.hpp"
#include "support/files.hpp"
#include "support/references.hpp"
#include "support/text_models.hpp"

#include <limits>
#include <map>
#include <memory>
#include <span>

using namespace attn;
using namespace attn::test;

namespace {

Options options() {
  Options options;
  options.threads = 1;
  return options;
}

// Writes to one file in a folder of its own, where an old one stands.
class Target {
 public:
  Target() { write_file(path_, old); }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// What stands there now; the old content is put back.
  std::string taken() {
    std::string now = read_file(path());
    reset();
    return now;
  }
  /// After a write that may have failed.
  void reset() {
    if (std::filesystem::exists(path())) {
      const std::string now = read_file(path());
      REQUIRE((now == old || whole.empty() || now == whole));
      REQUIRE(folder_.entries() == 1);  // no temporary
    }
    write_file(path(), old);
  }
  std::string whole;  // the new content, once it is known

 private:
  const std::string old = "what was there before";
  TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_ / "target";
};

std::vector<TuneExample> examples(int count) {
  std::vector<TuneExample> all;
  for (int i = 0; i < count; ++i) {
    TuneExample& example = all.emplace_back();
    for (int k = 0; k < 12; ++k) example.tokens.push_back((7 * i + 3 * k) % 256);
  }
  return all;
}

TuneOptions tune_options(TuneMethod method) {
  TuneOptions options;
  options.method = method;
  options.context = 16;
  options.batch_size = 2;
  options.steps = 4;
  options.lora.rank = 2;
  options.learning_rate = std::numeric_limits<double>::min();
  return options;
}

// A tuner and what it stands on.
struct Tuned {
  explicit Tuned(TuneMethod method)
      : model(std::make_unique<Model>(Model::open(data_path("tiny-llama"), options()))),
        tuner(*model, tune_options(method)) {}
  std::unique_ptr<Model> model;
  Tuner tuner;
};

// Its bits.
std::string number(double value) {
  const Spared spared;
  return bytes_in(std::vector<double>{value});
}

constexpr TuneMethod methods[] = {TuneMethod::lora, TuneMethod::full};
const char* name_of(TuneMethod method) { return method == TuneMethod::lora ? "lora" : "full"; }

}  // namespace

TEST_CASE("saving where memory is short", "[memory]") {
  const TextModelFolder folder("llama");
  Target target;
  const auto write_with = [&](const std::string& name, auto&& make, auto&& write) {
    target.whole.clear();
    {
      auto object = make();
      write(object);
    }
    const std::string whole = target.taken();
    target.whole = whole;
    sweep(
        name, make,
        [&](auto& object) {
          write(object);
          return std::string("written");  // too short to ask for memory
        },
        [&] { target.reset(); });
  };
  const auto nothing = [] { return 0; };
  write_with("replace a file", nothing, [&](int) {  // few requests: all of them are tried
    models::errors_of_ours([&] {
      runtime::AtomicFile file(target.path());
      file.write(std::as_bytes(std::span("new")));
      file.commit();
    });
  });
  const auto open = [&] { return Model::open(folder.path(), options()); };
  write_with("save", open, [&](Model& model) { model.save(target.path()); });
  const ConvertOptions packed{.quantize = "q8_0", .pack = "avx2"};
  write_with("convert", nothing, [&](int) { (void)convert(folder.path(), target.path(), packed); });
  const std::filesystem::path llama = data_path("tiny-llama");
  const ConvertOptions merged{.adapters = {{data_path("tiny-llama/lora"), 1}}};
  write_with("merge", nothing, [&](int) { (void)convert(llama, target.path(), merged); });
  const std::map<std::string, std::string> notes{{"note", "a"}};
  for (const TuneMethod method : methods) {
    write_with(
        std::string("write a checkpoint, ") + name_of(method),
        [&] { return std::make_unique<Tuned>(method); },
        [&](std::unique_ptr<Tuned>& tuned) { tuned->tuner.save_checkpoint(target.path(), notes); });
  }
  write_with(
      "save what was tuned", [] { return std::make_unique<Tuned>(TuneMethod::full); },
      [&](std::unique_ptr<Tuned>& tuned) { tuned->tuner.save(target.path()); });
}

TEST_CASE("tuning where memory is short", "[memory]") {
  const std::vector<TuneExample> batch = examples(2);
  for (const TuneMethod method : methods) {
    sweep(
        std::string("plan, ") + name_of(method),
        [] { return std::make_unique<Model>(Model::open(data_path("tiny-llama"), options())); },
        [&](std::unique_ptr<Model>& model) {
          const Tuner tuner(*model, tune_options(method));
          const Spared spared;
          return std::to_string(tuner.trained_parameters());
        });
    // a step that had no memory did not begin: the next one has the bits of the first. Weights do
    // not move, so that the one after a step has them too
    sweep(
        std::string("step, ") + name_of(method), [&] { return std::make_unique<Tuned>(method); },
        [&](std::unique_ptr<Tuned>& tuned) { return number(tuned->tuner.step(batch).loss); });
    sweep(
        std::string("evaluate, ") + name_of(method),
        [&] { return std::make_unique<Tuned>(method); },
        [&](std::unique_ptr<Tuned>& tuned) { return number(tuned->tuner.evaluate(batch).loss); });
  }
  const TemporaryFolder folder;
  const std::filesystem::path checkpoint = folder / "checkpoint";
  {
    Tuned tuned(TuneMethod::lora);
    (void)tuned.tuner.step(batch);
    tuned.tuner.save_checkpoint(checkpoint, {{"note", "a"}});
  }
  sweep(
      "resume", [&] { return std::make_unique<Tuned>(TuneMethod::lora); },
      [&](std::unique_ptr<Tuned>& tuned) {
        const auto notes = tuned->tuner.resume(checkpoint);
        const Spared spared;
        return notes.at("note") + std::to_string(tuned->tuner.steps());
      });
}

TEST_CASE("a run of tuning where memory is short", "[memory]") {
  const TextModelFolder model_folder("llama");
  const TemporaryFolder folder;
  const std::filesystem::path data = folder / "data.jsonl";
  write_file(data,
             "{\"text\": \"the small mouse went into the big house\"}\n"
             "{\"text\": \"the cat looked at the mouse\"}\n"
             "{\"messages\": [{\"role\": \"user\", \"content\": \"what?\"},"
             " {\"role\": \"assistant\", \"content\": \"paris.\"}]}\n");
  const auto make = [&] {
    return std::make_unique<Model>(Model::open(model_folder.path(), options()));
  };
  sweep("read examples", make, [&](std::unique_ptr<Model>& model) {
    const std::vector<TuneExample> read = language_examples(*model, data, {.context = 64});
    const Spared spared;
    std::string all;
    for (const TuneExample& example : read) {
      all += example.name + bytes_in(example.tokens);
    }
    return all;
  });
  const std::vector<TuneExample> train = examples(4);
  TuneRunOptions run;
  run.steps = 2;
  run.checkpoints = folder / "checkpoints";
  run.checkpoint_every = 1;
  sweep(
      "a run with checkpoints", make,
      [&](std::unique_ptr<Model>& model) {
        Tuner tuner(*model, tune_options(TuneMethod::lora));
        const TuneResult result = tune(tuner, train, {}, run);
        const Spared spared;
        return bytes_in(result.losses);
      },
      [&] { std::filesystem::remove_all(folder / "checkpoints"); });
}

TEST_CASE("teaching where memory is short", "[memory]") {
  const auto make = [] {
    return Model::create("size_loss_attention",
                         {{"sentence", "the small mouse and the big house"},
                          {"size_words", "small,big"},
                          {"embedding_dim", "8"}},
                         3, options());
  };
  sweep("train", make, [](Model& model) {
    TrainOptions train;
    train.epochs = 3;
    // weights that do not move: what a failure leaves behind would show in the losses
    train.learning_rate = std::numeric_limits<double>::min();
    const TrainResult result = model.train({}, train);
    const Spared spared;
    return bytes_in(result.losses);
  });
}
