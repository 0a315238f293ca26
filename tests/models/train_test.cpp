// Teaching: Model::train() as an application uses it, and what it refuses.

#include "attn/attn.hpp"
#include "support/models.hpp"
#include "support/numbers.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

using namespace attn::test;
using attn::ErrorKind;
using attn::Model;

TEST_CASE("the size-loss task refuses what it cannot teach", "[models][training]") {
  const auto file = size_loss_file(seeds()["size_loss_attention"]["initial"]);
  Model model = Model::from_memory(file, "seed");
  const auto fails = [&](const attn::SizeLossTask& task, const std::string& expected) {
    const Failure failure = failure_of([&] { (void)model.train(task, {}); });
    CHECK(failure.kind == ErrorKind::invalid);
    CHECK_THAT(failure.message, Catch::Contains(expected));
  };
  fails({"The pink elephant", {"giraffe"}}, "\"giraffe\"");
  fails({"The green elephant", {"elephant"}}, "\"green\"");
  fails({"   ", {"elephant"}}, "no words");
  fails({"elephant car", {"elephant", "car"}}, "no other words");
  attn::TrainOptions options;
  for (const double rate : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    options.learning_rate = rate;
    CHECK(failure_of([&] { (void)model.train({}, options); }).kind == ErrorKind::usage);
  }
  options = {};
  options.epochs = -1;
  CHECK(failure_of([&] { (void)model.train({}, options); }).kind == ErrorKind::usage);
  Model other = Model::create("self_attention", {}, 1);
  CHECK(failure_of([&] { (void)other.train({}, {}); }).kind == ErrorKind::usage);
}

TEST_CASE("a loss that is no number leaves the weights as they were", "[models][training]") {
  const auto file = size_loss_file(seeds()["size_loss_attention"]["initial"]);
  Model model = Model::from_memory(file, "seed");
  const auto ids = model.encode(model.sentence());
  const attn::Input input{"tokens", {13}, std::span<const std::int32_t>(ids)};
  const auto before_span = model.run({input})[0].values;
  const std::vector<float> before(before_span.begin(), before_span.end());
  attn::TrainOptions options;
  options.learning_rate = 1e38;
  CHECK(failure_of([&] { (void)model.train({}, options); }).kind == ErrorKind::numerical);
  const auto after = model.run({input})[0].values;
  CHECK(same_bits(std::span<const float>(before), after));
}

TEST_CASE("training tells every epoch, and stops when asked", "[models][training]") {
  const auto file = size_loss_file(seeds()["size_loss_attention"]["initial"]);
  Model model = Model::from_memory(file, "seed");
  int told = 0;
  attn::TrainOptions options;
  options.on_epoch = [&](const attn::EpochReport& report) {
    CHECK(report.epoch == told++);
    CHECK(report.epochs == 200);
    CHECK(report.attention_weights.size() == 13);
    return report.epoch < 9;
  };
  const attn::TrainResult result = model.train({}, options);
  CHECK(result.stopped);
  CHECK(result.losses.size() == 10);
  CHECK(told == 10);
  CHECK(std::count(result.is_size_word.begin(), result.is_size_word.end(), true) == 3);
}

TEST_CASE("an exception from the caller's callback leaves the model as it was",
          "[models][training]") {
  const auto file = size_loss_file(seeds()["size_loss_attention"]["initial"]);
  Model model = Model::from_memory(file, "seed");
  const std::string sentence = model.sentence();
  const auto metadata = model.metadata();
  const auto ids = model.encode(sentence);
  const attn::Input input{"tokens", {13}, std::span<const std::int32_t>(ids)};
  const auto run = [&] {
    const auto values = model.run({input})[0].values;
    return std::vector<float>(values.begin(), values.end());
  };
  const auto before = run();
  attn::TrainOptions options;
  options.on_epoch = [](const attn::EpochReport& report) -> bool {
    if (report.epoch == 3) throw std::runtime_error("enough");
    return true;
  };
  CHECK_THROWS_WITH(model.train({"The pink elephant", {"elephant"}}, options), "enough");
  CHECK(same_bits(run(), before));
  CHECK(model.sentence() == sentence);
  CHECK(model.metadata() == metadata);
}
