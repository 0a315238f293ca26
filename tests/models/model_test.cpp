// The facade: what applications rely on, and what bad models and bad inputs get.

#include "attn/attn.hpp"
#include "support/models.hpp"
#include "support/numbers.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <filesystem>
#include <limits>

using namespace attn::test;
using attn::Dims;
using attn::Error;
using attn::ErrorKind;
using attn::Model;

namespace {

struct Failure {
  ErrorKind kind;
  std::string message;
};

template <class Body>
Failure failure_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    const std::string message = error.what();
    CHECK(message.find('\n') == std::string::npos);
    return {error.kind(), message};
  }
  FAIL("nothing was thrown");
  return {};
}

void refuses_file(const std::map<std::string, std::string>& metadata,
                  const std::map<std::string, Json>& tensors, const std::string& expected) {
  const auto bytes = model_file(metadata, tensors);
  const Failure failure = failure_of([&] { (void)Model::from_memory(bytes, "m.bin"); });
  CHECK(failure.kind == ErrorKind::invalid);
  CHECK_THAT(failure.message, Catch::StartsWith("m.bin: ") && Catch::Contains(expected));
}

Json matrix(int rows, int cols) { return Json(std::vector(rows, std::vector<float>(cols, 0.5F))); }

}  // namespace

TEST_CASE("a new model has the architecture's tensors, and its seed decides them", "[models]") {
  const std::map<std::string, std::string> parameters{{"input_dim", "3"}, {"attention_units", "2"}};
  const std::vector<float> x{1, 2, 3, 4, 5, 6, 7, 8, 9};
  const auto weights = [&](std::uint64_t seed) {
    Model model = Model::create("attention_mechanism", parameters, seed);
    const auto outputs = model.run({{"x", {3, 3}, std::span<const float>(x)}});
    return std::vector<float>(outputs[0].values.begin(), outputs[0].values.end());
  };
  CHECK(same_bits(weights(1), weights(1)));
  CHECK_FALSE(same_bits(weights(1), weights(2)));
  for (const std::string& name : Model::architectures()) {
    CHECK(std::string(name).find(' ') == std::string::npos);
  }
  CHECK(Model::architectures().size() == 4);
}

TEST_CASE("new projections are uniform in ±1/√d, new embeddings normal", "[models]") {
  Model model = Model::create(
      "size_loss_attention",
      {{"sentence", "a b c d e f g h"}, {"size_words", "a"}, {"embedding_dim", "64"}}, 3);
  const auto path = std::filesystem::temp_directory_path() / "attn_model_test_new.bin";
  model.save(path);
  // q and k see the embeddings through the projections: their spread shows both
  Model again = Model::open(path);
  const auto ids = again.encode("a b c d e f g h");
  const auto outputs = again.run({{"tokens", {8}, std::span<const std::int32_t>(ids)}});
  float largest = 0;
  for (const float value : outputs[1].values) largest = std::max(largest, std::fabs(value));
  CHECK(largest > 0.01F);
  CHECK(largest < 5.0F);
  std::filesystem::remove(path);
}

TEST_CASE("a saved model is the model", "[models]") {
  const auto path = std::filesystem::temp_directory_path() / "attn_model_test.bin";
  const auto file = size_loss_file(seeds()["size_loss_attention"]["initial"]);
  Model model = Model::from_memory(file, "seed");
  attn::TrainOptions options;
  options.epochs = 50;
  (void)model.train({}, options);
  model.save(path);
  Model again = Model::open(path);
  const auto ids = model.encode(again.sentence());
  const attn::Input input{"tokens", {13}, std::span<const std::int32_t>(ids)};
  const auto a = model.run({input});
  const auto b = again.run({input});
  for (std::size_t i = 0; i < a.size(); ++i) {
    CHECK(same_bits(a[i].values, b[i].values));
  }
  attn::Options verify;
  verify.verify = true;
  CHECK_NOTHROW((void)Model::open(path, verify));
  again.save(path);  // onto the very file that is mapped
  CHECK_NOTHROW((void)Model::open(path, verify));
  std::filesystem::remove(path);
}

TEST_CASE("shapes may change from run to run, and results do not remember", "[models]") {
  Model model =
      Model::create("multi_head_attention", {{"embedding_size", "16"}, {"num_heads", "4"}}, 7);
  const auto run = [&](Model& m, std::int64_t batch, std::int64_t n) {
    const auto x =
        random_values(static_cast<std::size_t>(std::max<std::int64_t>(1, batch) * n * 16),
                      static_cast<std::uint32_t>(n));
    const Dims shape = batch == 0 ? Dims{n, 16} : Dims{batch, n, 16};
    const auto outputs = m.run({{"x", shape, std::span<const float>(x)}});
    return std::vector<float>(outputs[1].values.begin(), outputs[1].values.end());
  };
  const auto first = run(model, 0, 5);
  (void)run(model, 0, 100);
  (void)run(model, 3, 7);
  (void)run(model, 0, 1);
  CHECK(same_bits(run(model, 0, 5), first));
  Model fresh =
      Model::create("multi_head_attention", {{"embedding_size", "16"}, {"num_heads", "4"}}, 7);
  CHECK(same_bits(run(fresh, 3, 7), run(model, 3, 7)));
}

TEST_CASE("1, 2, 3 and 8 threads give the same bits", "[models][threads]") {
  const auto x = random_values(300 * 64, 4);
  std::vector<float> alone;
  for (const int threads : {1, 2, 3, 8}) {
    attn::Options options;
    options.threads = threads;
    Model model = Model::create("multi_head_attention",
                                {{"embedding_size", "64"}, {"num_heads", "4"}}, 7, options);
    const auto outputs = model.run({{"x", {300, 64}, std::span<const float>(x)}});
    std::vector<float> all;
    for (const auto& output : outputs) {
      all.insert(all.end(), output.values.begin(), output.values.end());
    }
    if (threads == 1) alone = all;
    CHECK(same_bits(all, alone));
  }
}

TEST_CASE("inputs that do not fit say what would", "[models]") {
  Model model =
      Model::create("multi_head_attention", {{"embedding_size", "4"}, {"num_heads", "2"}}, 7);
  const std::vector<float> x(12);
  const std::vector<std::int32_t> ids(12);
  const std::span<const float> values(x);
  const auto fails = [&](std::initializer_list<attn::Input> inputs, ErrorKind kind,
                         const std::string& expected) {
    const Failure failure = failure_of([&] { (void)model.run(inputs); });
    CHECK(failure.kind == kind);
    CHECK_THAT(failure.message, Catch::Contains(expected));
  };
  fails({}, ErrorKind::usage, "'x' [n, 4] is missing");
  fails({{"y", {3, 4}, values}}, ErrorKind::usage, "unknown input 'y'");
  fails({{"x", {3, 4}, values}, {"x", {3, 4}, values}}, ErrorKind::usage, "twice");
  fails({{"x", {4, 3}, values}}, ErrorKind::invalid, "[4, 3]");
  fails({{"x", {12}, values}}, ErrorKind::invalid, "[12]");
  fails({{"x", {2, 4}, values}}, ErrorKind::invalid, "12 values");
  fails({{"x", {0, 4}, values.first(0)}}, ErrorKind::invalid, "nothing in dimension 0");
  fails({{"x", {-3, 4}, values}}, ErrorKind::invalid, "nothing in dimension 0");
  fails({{"x", {std::int64_t{1} << 62, 4}, values}}, ErrorKind::invalid, "address space");
  fails({{"x", {3, 4}, std::span<const std::int32_t>(ids)}}, ErrorKind::usage, "float");
}

TEST_CASE("a model that does not fit its architecture is refused with both shapes", "[models]") {
  const std::map<std::string, std::string> mechanism{{"attn.architecture", "attention_mechanism"}};
  refuses_file({}, {{"weight", matrix(3, 2)}}, "'attn.architecture' is missing");
  refuses_file({{"attn.architecture", "mamba"}}, {}, "'mamba'");
  refuses_file(mechanism, {}, "'weight' is missing");
  refuses_file(mechanism, {{"weight", Json::array({1, 2})}}, "'weight' needs 2 dimensions");
  refuses_file(mechanism, {{"weight", matrix(3, 2)}, {"extra", matrix(1, 1)}}, "'extra'");
  const auto heads = [](const std::string& n) {
    return std::map<std::string, std::string>{{"attn.architecture", "multi_head_attention"},
                                              {"attn.num_heads", n}};
  };
  const std::map<std::string, Json> good{{"q_proj.weight", matrix(4, 4)},
                                         {"k_proj.weight", matrix(4, 4)},
                                         {"v_proj.weight", matrix(4, 4)},
                                         {"out_proj.weight", matrix(4, 4)},
                                         {"out_proj.bias", Json::array({0, 0, 0, 0})}};
  for (const char* bad : {"0", "-1", "3", "2147483648", "two", "2.0", ""}) {
    refuses_file(heads(bad), good, "num_heads");
  }
  refuses_file({{"attn.architecture", "multi_head_attention"}}, good, "num_heads");
  auto misshapen = good;
  misshapen["k_proj.weight"] = matrix(4, 3);
  refuses_file(heads("2"), misshapen, "[4, 3], not [4, 4]");
  auto missing = good;
  missing.erase("out_proj.bias");
  refuses_file(heads("2"), missing, "'out_proj.bias' is missing");
  refuses_file({{"attn.architecture", "self_attention"}, {"attn.scale", "nan"}}, {}, "attn.scale");
  refuses_file({{"attn.architecture", "size_loss_attention"}, {"attn.vocab", "[\"a\",\"a\"]"}},
               {{"embedding.weight", matrix(2, 2)}}, "'a' stands twice");
  refuses_file({{"attn.architecture", "size_loss_attention"}, {"attn.vocab", "[\"a\"]"}},
               {{"embedding.weight", matrix(2, 2)}}, "1 words");
  refuses_file({{"attn.architecture", "size_loss_attention"}, {"attn.vocab", "{"}},
               {{"embedding.weight", matrix(2, 2)}}, "attn.vocab");
}

TEST_CASE("new models with senseless parameters are refused", "[models]") {
  const auto fails = [](const std::string& architecture,
                        const std::map<std::string, std::string>& parameters,
                        const std::string& expected) {
    const Failure failure = failure_of([&] { (void)Model::create(architecture, parameters, 1); });
    CHECK(failure.kind == ErrorKind::usage);
    CHECK_THAT(failure.message, Catch::Contains(expected));
  };
  fails("rnn", {}, "attention_mechanism");
  fails("attention_mechanism", {{"input_dim", "3"}}, "attention_units");
  fails("attention_mechanism", {{"input_dim", "0"}, {"attention_units", "2"}}, "input_dim");
  fails("attention_mechanism", {{"input_dim", "x"}, {"attention_units", "2"}}, "'x'");
  fails("self_attention", {{"heads", "3"}}, "'heads'");
  fails("multi_head_attention", {{"embedding_size", "5"}, {"num_heads", "2"}}, "multiple");
  for (const int threads : {-1, 1025}) {
    attn::Options options;
    options.threads = threads;
    CHECK(failure_of([&] { (void)Model::create("self_attention", {}, 1, options); }).kind ==
          ErrorKind::usage);
  }
  attn::Options options;
  options.isa = "sse9";
  CHECK(failure_of([&] { (void)Model::create("self_attention", {}, 1, options); }).kind ==
        ErrorKind::usage);
}

TEST_CASE("the size-loss task refuses what it cannot teach", "[models][training]") {
  const auto file = size_loss_file(seeds()["size_loss_attention"]["initial"]);
  Model model = Model::from_memory(file, "seed");
  const auto fails = [&](const attn::SizeLossTask& task, const std::string& expected) {
    const Failure failure = failure_of([&] { (void)model.train(task, {}); });
    CHECK(failure.kind == ErrorKind::invalid);
    CHECK_THAT(failure.message, Catch::Contains(expected));
  };
  fails({"The pink elephant", {"giraffe"}}, "'giraffe'");
  fails({"The green elephant", {"elephant"}}, "'green'");
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

TEST_CASE("info and profile tell what runs", "[models]") {
  attn::Options options;
  options.profile = true;
  options.threads = 2;
  const auto file = size_loss_file(seeds()["size_loss_attention"]["initial"]);
  Model model = Model::from_memory(file, "seed", options);
  const attn::ModelInfo info = model.info();
  CHECK(info.parameter_count == 13 * 4 + 3 * 16);
  CHECK(info.tensors.size() == 4);
  CHECK(info.threads == 2);
  CHECK_FALSE(info.isa_reason.empty());
  CHECK(info.memory.arena > 0);
  CHECK(info.graph.size() >= 6);
  const auto ids = model.encode(model.sentence());
  for (int i = 0; i < 3; ++i) {
    (void)model.run({{"tokens", {13}, std::span<const std::int32_t>(ids)}});
  }
  const auto profile = model.profile();
  REQUIRE(profile.size() >= 6);
  for (const attn::OpProfile& row : profile) {
    CHECK(row.calls == 3);
    CHECK(row.seconds > 0);
  }
}
