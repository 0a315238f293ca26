// The loop around a tuner: orders, evaluations, checkpoints, going on. What the tuner computes is
// played here by a number that depends on every example it was given, in their order.

#include "models/training/run_loop.hpp"
#include "runtime/formats/json.hpp"
#include "support/files.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <set>

using namespace attn;
using namespace attn::models;
using namespace attn::test;

namespace {

class Engine {
 public:
  TuneOptions options_;
  std::int64_t steps_ = 0;
  double state_ = 1;
  std::vector<double> evaluation_losses;  // handed out one by one; the last again and again
  std::size_t evaluated = 0;
  std::vector<std::vector<std::int32_t>> seen;  // first tokens of the examples, by step

  [[nodiscard]] const TuneOptions& options() const { return options_; }
  [[nodiscard]] std::int64_t steps() const { return steps_; }

  TuneStep step(std::span<const TuneExample> examples) {
    if (cancelled) throw Error(ErrorKind::cancelled, "cancelled");
    seen.emplace_back();
    for (const TuneExample& example : examples) {
      state_ = state_ * 1.25 + example.tokens[0];
      state_ -= 64 * std::floor(state_ / 64);
      seen.back().push_back(example.tokens[0]);
    }
    TuneStep step;
    step.step = ++steps_;
    step.loss = state_;
    step.tokens = 100;
    step.seconds = steps_ <= 2 ? 10 : 1;
    return step;
  }
  TuneEvaluation evaluate(std::span<const TuneExample> examples) {
    TuneEvaluation evaluation;
    evaluation.loss = state_ / 3;
    if (!evaluation_losses.empty()) {
      evaluation.loss = evaluation_losses[std::min(evaluated, evaluation_losses.size() - 1)];
    }
    evaluation.correlation = std::nan("");
    evaluation.examples = std::ssize(examples);
    ++evaluated;
    return evaluation;
  }
  void save_checkpoint(const std::filesystem::path& file,
                       const std::map<std::string, std::string>& notes) const {
    if (fails_to_save) throw Error(ErrorKind::io, file.string() + ": the disk is full");
    runtime::Json json;
    json["steps"] = steps_;
    json["state"] = state_;
    json["notes"] = notes;
    write_file(file, json.dump());
  }
  std::map<std::string, std::string> resume(const std::filesystem::path& file) {
    const runtime::Json json = runtime::parse_json(read_file(file), file.string());
    steps_ = json["steps"];
    state_ = json["state"];
    return json["notes"];
  }
  bool cancelled = false, fails_to_save = false;
};

std::vector<TuneExample> examples(std::int32_t count) {
  std::vector<TuneExample> all;
  for (std::int32_t i = 0; i < count; ++i) {
    all.emplace_back();
    all.back().tokens = {i, i + 1};
  }
  return all;
}

TuneResult run(Engine& engine, std::span<const TuneExample> train,
               std::span<const TuneExample> held_out, const TuneRunOptions& options) {
  return RunLoop<Engine>(engine, train, held_out, options).run();
}

std::set<std::string> names(const std::filesystem::path& folder) {
  std::set<std::string> all;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    all.insert(entry.path().filename().string());
  }
  return all;
}

}  // namespace

TEST_CASE("every epoch reads every example once, in an order of its own", "[training]") {
  Order order(10, 4, true, 7);
  CHECK(order.steps_per_epoch() == 3);
  std::vector<std::vector<std::size_t>> epochs;
  for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
    std::vector<std::size_t> all;
    for (std::int64_t i = 0; i < 3; ++i) {
      const auto some = order.examples_of(epoch * 3 + i);
      CHECK(some.size() == (i < 2 ? 4 : 2));  // the short rest is kept
      all.insert(all.end(), some.begin(), some.end());
    }
    CHECK(all == epoch_order(10, 7, epoch));
    CHECK(std::set<std::size_t>(all.begin(), all.end()).size() == 10);
    epochs.push_back(all);
  }
  CHECK(epochs[0] != epochs[1]);
  CHECK(epochs[1] != epochs[2]);
  CHECK(epoch_order(10, 8, 0) != epochs[0]);

  Order again(10, 4, true, 7);  // from the middle
  CHECK(again.examples_of(4) == order.examples_of(4));
  Order plain(5, 2, false, 7);
  CHECK(plain.examples_of(0) == std::vector<std::size_t>{0, 1});
  CHECK(plain.examples_of(2) == std::vector<std::size_t>{4});
  CHECK(plain.examples_of(4) == std::vector<std::size_t>{2, 3});
  Order pairs(9, 4, false, 7, 2);  // a pair without others is left out
  CHECK(pairs.steps_per_epoch() == 2);
  CHECK(pairs.examples_of(1) == std::vector<std::size_t>{4, 5, 6, 7});
  CHECK(pairs.examples_of(2) == std::vector<std::size_t>{0, 1, 2, 3});
  CHECK(epoch_order(0, 1, 1).empty());
  CHECK(epoch_order(1, 1, 1) == std::vector<std::size_t>{0});
}

TEST_CASE("a run takes the updates it is asked for", "[training]") {
  Engine engine;
  engine.options_.batch_size = 2;
  engine.options_.accumulate = 2;
  const auto train = examples(10);
  TuneRunOptions options;
  options.epochs = 2;
  options.shuffle = false;
  const TuneResult result = run(engine, train, {}, options);
  CHECK(result.steps == 6);
  CHECK(result.losses.size() == 6);
  CHECK(result.evaluations.empty());
  CHECK_FALSE(result.stopped);
  CHECK(result.tokens_per_s == 100);  // not that of the first two
  using Ids = std::vector<std::int32_t>;
  CHECK(engine.seen[0] == Ids{0, 1, 2, 3});
  CHECK(engine.seen[2] == Ids{8, 9});
  CHECK(engine.seen[3] == Ids{0, 1, 2, 3});

  options.steps = 7;
  CHECK(tune_steps(10, engine.options_, options) == 7);
  require_error(ErrorKind::invalid, {"no examples"},
                [&] { (void)tune_steps(0, engine.options_, options); });
  options.steps = 0;
  options.epochs = 0;
  require_error(ErrorKind::usage, {"epochs", "0"},
                [&] { (void)tune_steps(10, engine.options_, options); });
}

TEST_CASE("evaluations come before, between and after, each once", "[training]") {
  Engine engine;
  engine.options_.batch_size = 1;
  const auto train = examples(10), held_out = examples(3);
  TuneRunOptions options;
  options.steps = 10;
  options.evaluate_every = 5;
  std::vector<std::int64_t> told;
  options.on_evaluation = [&](const TuneEvaluation& evaluation, std::int64_t step) {
    CHECK(evaluation.examples == 3);
    told.push_back(step);
    return true;
  };
  const TuneResult result = run(engine, train, held_out, options);
  CHECK(told == std::vector<std::int64_t>{0, 5, 10});
  REQUIRE(result.evaluations.size() == 3);
  CHECK(result.evaluations[1].step == 5);
  CHECK(result.losses.size() == 10);
}

TEST_CASE("a run without a better evaluation ends", "[training]") {
  Engine engine;
  engine.evaluation_losses = {5, 4, 4.5, 3, 3, 3.5, 9};
  TuneRunOptions options;
  options.steps = 100;
  options.evaluate_every = 2;
  options.patience = 2;
  const auto train = examples(10), held_out = examples(1);
  const TuneResult result = run(engine, train, held_out, options);
  CHECK(result.out_of_patience);
  CHECK_FALSE(result.stopped);
  CHECK(result.losses.size() == 10);  // 3 was the best, then 3 and 3.5
  CHECK(result.evaluations.size() == 6);
}

TEST_CASE("a run that was stopped goes on to the same numbers", "[training]") {
  const auto train = examples(23), held_out = examples(4);
  TuneRunOptions options;
  options.epochs = 3;
  options.evaluate_every = 4;
  Engine whole;
  const TuneResult expected = run(whole, train, held_out, options);

  const TemporaryFolder folder;
  options.checkpoints = folder / "checkpoints";
  options.checkpoint_every = 3;
  SECTION("by a callback") {
    Engine first;
    options.on_step = [](const TuneStep& step) { return step.step < 8; };
    const TuneResult stopped = run(first, train, held_out, options);
    CHECK(stopped.stopped);
    CHECK(stopped.losses.size() == 8);
    CHECK(stopped.checkpoint == folder / "checkpoints/step-00000008.safetensors");
    CHECK(names(folder / "checkpoints") ==
          std::set<std::string>{"lock", "step-00000006.safetensors", "step-00000008.safetensors"});
  }
  SECTION("by cancelling") {
    Engine first;
    options.on_step = [&](const TuneStep& step) {
      first.cancelled = step.step == 7;
      return true;
    };
    const TuneResult stopped = run(first, train, held_out, options);
    CHECK(stopped.stopped);
    CHECK(stopped.losses.size() == 7);
    CHECK(stopped.checkpoint.filename() == "step-00000007.safetensors");
  }
  SECTION("by force") {
    Engine first;
    options.on_step = [](const TuneStep& step) {
      if (step.step == 5) throw std::runtime_error("killed");
      return true;
    };
    CHECK_THROWS_AS(run(first, train, held_out, options), std::runtime_error);
    CHECK(names(folder / "checkpoints").contains("step-00000003.safetensors"));
  }
  options.on_step = {};
  options.resume = true;
  Engine second;
  const TuneResult result = run(second, train, held_out, options);
  CHECK(result.resumed_from >= 3);
  CHECK(second.seen.size() < 18);
  CHECK(result.losses == expected.losses);
  REQUIRE(result.evaluations.size() == expected.evaluations.size());
  for (std::size_t i = 0; i < result.evaluations.size(); ++i) {
    CHECK(result.evaluations[i].step == expected.evaluations[i].step);
    CHECK(result.evaluations[i].evaluation.loss == expected.evaluations[i].evaluation.loss);
    CHECK(std::isnan(result.evaluations[i].evaluation.correlation));
  }
  Engine third;  // nothing is left to do
  CHECK(run(third, train, held_out, options).losses == expected.losses);
  CHECK(third.seen.empty());
}

TEST_CASE("a stop does not take the place of an earlier run's checkpoints", "[training]") {
  const TemporaryFolder folder;
  TuneRunOptions options;
  options.steps = 9;
  options.checkpoints = folder.path() / "c";
  options.checkpoint_every = 4;
  Engine earlier;
  CHECK(run(earlier, examples(20), {}, options).checkpoint.filename() ==
        "step-00000009.safetensors");  // the last update has one, whatever comes of its results
  const auto kept = names(options.checkpoints);
  CHECK(kept.contains("step-00000008.safetensors"));
  CHECK_THROWS_AS(run(earlier, examples(20), {}, options), Error);  // it has updates already

  const auto stop_after = [&](std::int64_t steps) {
    Engine engine;
    TuneRunOptions stopping = options;
    stopping.on_step = [&](const TuneStep& step) { return step.step < steps; };
    return run(engine, examples(20), {}, stopping);
  };
  const TuneResult early = stop_after(2);
  CHECK(early.stopped);
  CHECK(early.checkpoint.empty());
  CHECK(names(options.checkpoints) == kept);
  Engine none;
  none.cancelled = true;
  CHECK(run(none, examples(20), {}, options).checkpoint.empty());
  CHECK(names(options.checkpoints) == kept);
  CHECK(stop_after(6).checkpoint.filename() == "step-00000006.safetensors");
  CHECK(names(options.checkpoints) ==
        std::set<std::string>{"lock", "step-00000004.safetensors", "step-00000006.safetensors"});
  CHECK(!stop_after(9).stopped);  // beside the last update
}

TEST_CASE("checkpoints that cannot be resumed from are named", "[training]") {
  const TemporaryFolder folder;
  const auto train = examples(20), fewer = examples(19);
  TuneRunOptions options;
  options.checkpoints = folder.path();
  options.checkpoint_every = 2;
  options.steps = 6;
  options.resume = true;
  {
    Engine engine;
    require_error(ErrorKind::io, {folder.path().string(), "no checkpoint"},
                  [&] { run(engine, train, {}, options); });
  }
  options.resume = false;
  {
    Engine engine;
    run(engine, train, {}, options);
  }
  options.resume = true;
  const auto newest = folder / "step-00000006.safetensors";
  SECTION("of other data") {
    Engine engine;
    require_error(ErrorKind::invalid, {newest.string(), "other data"},
                  [&] { run(engine, fewer, {}, options); });
    options.shuffle = false;
    require_error(ErrorKind::invalid, {newest.string(), "another order"},
                  [&] { run(engine, train, {}, options); });
  }
  SECTION("damaged") {
    Engine engine;
    write_file(newest, "{\"steps\":");
    require_error(ErrorKind::invalid, {newest.string(), "before it is step-00000004.safetensors"},
                  [&] { run(engine, train, {}, options); });
    std::filesystem::remove(newest);
    CHECK(run(engine, train, {}, options).resumed_from == 4);
  }
  SECTION("the only one") {
    std::filesystem::remove(folder / "step-00000004.safetensors");
    write_file(newest, "");
    Engine engine;
    require_error(ErrorKind::invalid, {newest.string(), "no checkpoint before it"},
                  [&] { run(engine, train, {}, options); });
  }
  SECTION("of a run that this one replaces") {
    options.resume = false;
    options.steps = 2;
    Engine engine;
    run(engine, train, {}, options);
    CHECK(names(folder.path()) == std::set<std::string>{"lock", "step-00000002.safetensors"});
  }
  SECTION("of a run that this one was to replace, but for a checkpoint that fails") {
    options.resume = false;
    Engine engine;
    engine.fails_to_save = true;
    require_error(ErrorKind::io, {"disk"}, [&] { run(engine, train, {}, options); });
    CHECK(names(folder.path()) ==
          std::set<std::string>{"lock", "step-00000004.safetensors", "step-00000006.safetensors"});
  }
  SECTION("with more updates than the run is to have") {
    options.steps = 5;
    Engine engine;
    require_error(ErrorKind::usage, {"5", "6", newest.string()},
                  [&] { run(engine, train, {}, options); });
  }
  SECTION("that were evaluated on other data") {
    options.resume = false;
    {
      Engine engine;
      run(engine, train, fewer, options);
    }
    options.resume = true;
    Engine engine;
    require_error(ErrorKind::invalid, {newest.string(), "evaluated on other data"},
                  [&] { run(engine, train, train, options); });
  }
}

TEST_CASE("a folder of checkpoints is one run's, and is kept clean", "[training]") {
  const TemporaryFolder folder;
  write_file(folder / ".attn-0123456789abcdef.tmp", "half");
  write_file(folder / "step-3.safetensors", "somebody's");
  write_file(folder / "step-00000001.safetensors", "");
  write_file(folder / "step-123456789.safetensors", "");
  write_file(folder / "notes.txt", "");
  {
    const CheckpointFolder mine(folder.path());
    CHECK_FALSE(names(folder.path()).contains(".attn-0123456789abcdef.tmp"));
    const auto all = mine.checkpoints();
    REQUIRE(all.size() == 2);
    CHECK(all[0].step == 123456789);
    CHECK(mine.file_of(100).filename() == "step-00000100.safetensors");
    CHECK(mine.file_of(123456789) == all[0].file);
    require_error(ErrorKind::io, {folder.path().string(), "another process"},
                  [&] { const CheckpointFolder other(folder.path()); });
    std::filesystem::create_directory(folder / "step-99999999.safetensors");  // no file
    mine.keep(1, all[0].file);
    CHECK(names(folder.path()) == std::set<std::string>{"lock", "notes.txt", "step-3.safetensors",
                                                        "step-99999999.safetensors",
                                                        "step-123456789.safetensors"});
  }
  const CheckpointFolder again(folder.path());  // it was given back
  require_error(ErrorKind::io, {"notes.txt"},
                [&] { const CheckpointFolder none(folder / "notes.txt"); });
}
