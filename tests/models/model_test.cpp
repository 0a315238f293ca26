// The facade: what applications rely on, and what bad models and bad inputs get.

#include "attn/attn.hpp"
#include "runtime/formats/safetensors.hpp"
#include "support/files.hpp"
#include "support/models.hpp"
#include "support/numbers.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <thread>

using namespace attn::test;
using attn::Dims;
using attn::Error;
using attn::ErrorKind;
using attn::Model;

namespace {

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
  CHECK(Model::architectures() ==
        std::vector<std::string>{"attention_mechanism", "self_attention", "multi_head_attention",
                                 "size_loss_attention", "llama", "qwen2", "bert"});
}

TEST_CASE("new projections are uniform in ±1/√(input size), new embeddings normal", "[models]") {
  const attn::test::TemporaryFolder folder;
  struct New {
    std::string architecture;
    std::map<std::string, std::string> parameters;
    std::map<std::string, Dims> shapes;
    double bound;
  };
  const std::vector<New> models{
      {"attention_mechanism",
       {{"input_dim", "25"}, {"attention_units", "50"}},
       {{"weight", {25, 50}}},
       0.2},
      {"self_attention",
       {{"embedding_size", "16"}},
       {{"q_proj.weight", {16, 16}}, {"k_proj.weight", {16, 16}}, {"v_proj.weight", {16, 16}}},
       0.25},
      {"multi_head_attention",
       {{"embedding_size", "16"}, {"num_heads", "4"}},
       {{"q_proj.weight", {16, 16}},
        {"k_proj.weight", {16, 16}},
        {"v_proj.weight", {16, 16}},
        {"out_proj.weight", {16, 16}},
        {"out_proj.bias", {16}}},
       0.25},
      {"size_loss_attention",
       {{"sentence", "a b a c"}, {"size_words", "a, c"}, {"embedding_dim", "400"}},
       {{"embedding.weight", {3, 400}},
        {"W_q.weight", {400, 400}},
        {"W_k.weight", {400, 400}},
        {"W_v.weight", {400, 400}}},
       0.05}};
  for (const New& each : models) {
    INFO(each.architecture);
    const Model model = Model::create(each.architecture, each.parameters, 3);
    std::map<std::string, Dims> told;
    for (const auto& tensor : model.info().tensors) told[tensor.name] = tensor.shape;
    CHECK(told == each.shapes);
    model.save(folder / "m.bin");
    const auto file = attn::runtime::Safetensors::open(folder / "m.bin");
    CHECK(file.tensors().size() == each.shapes.size());
    for (const auto& tensor : file.tensors()) {
      INFO(tensor.name);
      CHECK(tensor.shape == each.shapes.at(tensor.name));
      std::vector<float> values(tensor.data.size() / sizeof(float));
      std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
      const auto n = static_cast<double>(values.size());
      double sum = 0, square = 0, largest = 0;
      for (const float value : values) {
        sum += static_cast<double>(value);
        square += static_cast<double>(value) * static_cast<double>(value);
        largest = std::max(largest, std::fabs(static_cast<double>(value)));
      }
      // the second moment of a uniform distribution is bound²/3, of a normal one 1; means and
      // moments of n numbers stray by 1/√n, five of which no seed reaches
      const bool normal = tensor.name == "embedding.weight";
      const double variance = normal ? 1 : each.bound * each.bound / 3;
      CHECK(std::fabs(sum / n) <= 5 * std::sqrt(variance / n));
      CHECK(std::fabs(square / n / variance - 1) <= 5 * std::sqrt((normal ? 2 : 0.8) / n));
      if (normal) {
        CHECK(largest > 2.5);
      } else {
        CHECK(largest <= each.bound);
      }
    }
    CHECK(Model::open(folder / "m.bin").metadata().at("attn.architecture") == each.architecture);
  }
}

TEST_CASE("a saved model is the model", "[models]") {
  const attn::test::TemporaryFolder folder;
  const auto path = folder / "m.bin";
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
  fails({{"y", {3, 4}, values}}, ErrorKind::usage, "unknown input \"y\"");
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
  refuses_file({{"attn.architecture", "mamba"}}, {}, "\"mamba\"");
  refuses_file(mechanism, {}, "'weight' is missing");
  refuses_file(mechanism, {{"weight", Json::array({1, 2})}}, "[2], but needs 2 dimensions");
  refuses_file(mechanism, {{"weight", matrix(3, 2)}, {"extra", matrix(1, 1)}}, "\"extra\"");
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
               {{"embedding.weight", matrix(2, 2)}}, "\"a\" stands twice");
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
  fails("attention_mechanism", {{"input_dim", "3"}}, "parameter 'attention_units' is missing");
  fails("multi_head_attention", {{"embedding_size", "4"}}, "parameter 'num_heads' is missing");
  fails("multi_head_attention", {{"num_heads", "4"}}, "parameter 'embedding_size' is missing");
  fails("multi_head_attention", {{"embedding_size", "131072"}, {"num_heads", "131072"}},
        "'num_heads'");
  fails("size_loss_attention", {{"embedding_dim", "4"}}, "parameter 'sentence' is missing");
  fails("size_loss_attention", {{"sentence", "a b"}}, "parameter 'embedding_dim' is missing");
  fails("size_loss_attention", {{"sentence", " "}, {"embedding_dim", "4"}}, "no words");
  for (const char* scale : {"", "half", "inf", "nan", "1e39", "0.5x"}) {
    fails("self_attention", {{"attn.scale", scale}}, "'attn.scale'");
  }
  fails("attention_mechanism", {{"input_dim", "0"}, {"attention_units", "2"}}, "input_dim");
  fails("attention_mechanism", {{"input_dim", "x"}, {"attention_units", "2"}}, "\"x\"");
  fails("self_attention", {{"heads", "3"}}, "\"heads\"");
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
  REQUIRE(profile.size() >= 4);
  std::int64_t calls = 0;
  for (const attn::OpProfile& row : profile) {
    CHECK(row.calls % 3 == 0);
    CHECK(row.seconds > 0);
    calls += row.calls;
  }
  CHECK(calls == 3 * std::ssize(info.graph));
}

TEST_CASE("messages stay on one line whatever a file says", "[models]") {
  const std::string evil = "a\nb\x1b[2J";
  refuses_file({{"attn.architecture", evil}}, {}, "none of");
  refuses_file({{"attn.architecture", "self_attention"}, {"attn.scale", evil}}, {}, "attn.scale");
  refuses_file({{"attn.architecture", "attention_mechanism"}},
               {{"weight", matrix(3, 2)}, {evil, matrix(1, 1)}}, "not part of");
  refuses_file({{"attn.architecture", "size_loss_attention"},
                {"attn.vocab", Json(std::vector<std::string>{evil, evil}).dump()}},
               {{"embedding.weight", matrix(2, 2)}}, "stands twice");
}

TEST_CASE("messages stay on one line whatever a caller says", "[models]") {
  const std::vector<std::byte> nothing(3);
  CHECK(failure_of([&] { (void)Model::from_memory(nothing, "a\nb"); }).kind == ErrorKind::invalid);
  attn::Options options;
  options.isa = "x\ny";
  const auto isa = [&] { (void)Model::create("self_attention", {}, 1, options); };
  CHECK(failure_of(isa).kind == ErrorKind::usage);
  using Words = std::pair<std::string, std::string>;
  for (const auto& [sentence, words] : {Words{"a small \xff", "small"}, {"a small b", "sm\xff"}}) {
    const std::map<std::string, std::string> parameters{
        {"sentence", sentence}, {"size_words", words}, {"embedding_dim", "4"}};
    const auto create = [&] { (void)Model::create("size_loss_attention", parameters, 1); };
    CHECK_THAT(failure_of(create).message, Catch::Contains("no UTF-8"));
  }
}

TEST_CASE("a scale that the model carries is used", "[models]") {
  const auto x = random_values(5 * 4, 3);
  const auto weights = [&](const char* architecture, std::map<std::string, std::string> parameters,
                           const char* scale) {
    if (scale != nullptr) parameters["attn.scale"] = scale;
    Model model = Model::create(architecture, parameters, 1);
    const auto outputs = model.run({{"x", {5, 4}, std::span<const float>(x)}});
    return std::vector<float>(outputs[0].values.begin(), outputs[0].values.end());
  };
  const std::map<std::string, std::string> heads{{"embedding_size", "4"}, {"num_heads", "2"}};
  // 1/√embedding_size for both, though a head of the second is only 2 wide
  CHECK(same_bits(weights("self_attention", {}, nullptr), weights("self_attention", {}, "0.5")));
  CHECK(same_bits(weights("multi_head_attention", heads, nullptr),
                  weights("multi_head_attention", heads, "0.5")));
  for (const float weight : weights("self_attention", {}, "0")) {
    CHECK(weight == Approx(0.2).epsilon(1e-6));
  }
}

TEST_CASE("a model that was moved from refuses all work", "[models]") {
  Model model = Model::create("self_attention", {}, 1);
  Model other = std::move(model);
  const std::vector<float> x(4);
  const auto refused = [](auto body) { CHECK(failure_of(body).kind == ErrorKind::usage); };
  // NOLINTBEGIN(bugprone-use-after-move): that is the question
  refused([&] { (void)model.run({{"x", {2, 2}, std::span<const float>(x)}}); });
  refused([&] { (void)model.info(); });
  refused([&] { (void)model.train({}, {}); });
  refused([&] { (void)model.inputs(); });
  refused([&] { (void)model.architecture(); });
  model = std::move(other);
  CHECK(model.architecture() == "self_attention");
  // NOLINTEND(bugprone-use-after-move)
}

TEST_CASE("two models in two threads never meet", "[models][threads]") {
  const auto work = [](std::uint64_t seed) {
    std::vector<float> all;
    attn::Options options;
    options.threads = 2;
    Model heads = Model::create("multi_head_attention",
                                {{"embedding_size", "32"}, {"num_heads", "4"}}, seed, options);
    for (const std::int64_t n : {3, 40, 7, 90}) {
      const auto x = random_values(static_cast<std::size_t>(n) * 32, 5);
      for (const auto& output : heads.run({{"x", {n, 32}, std::span<const float>(x)}})) {
        all.insert(all.end(), output.values.begin(), output.values.end());
      }
    }
    const auto file = size_loss_file(seeds()["size_loss_attention"]["initial"]);
    Model words = Model::from_memory(file, "seed");
    for (const double loss : words.train({}, {}).losses) all.push_back(static_cast<float>(loss));
    return all;
  };
  (void)seeds();
  const std::vector<float> alone[2]{work(1), work(2)};
  std::vector<float> together[2];
  std::thread other([&] { together[1] = work(2); });
  together[0] = work(1);
  other.join();
  for (const int i : {0, 1}) CHECK(same_bits(together[i], alone[i]));
}

TEST_CASE("info plans for the sample input, in a batch or not", "[models]") {
  const auto arena = [](const std::string& sample) {
    const std::map<std::string, Json> tensors{{"q_proj.weight", matrix(4, 4)},
                                              {"k_proj.weight", matrix(4, 4)},
                                              {"v_proj.weight", matrix(4, 4)},
                                              {"out_proj.weight", matrix(4, 4)},
                                              {"out_proj.bias", Json::array({0, 0, 0, 0})}};
    const auto file = model_file({{"attn.architecture", "multi_head_attention"},
                                  {"attn.num_heads", "2"},
                                  {"attn.sample_input", sample}},
                                 tensors);
    return Model::from_memory(file, "m.bin").info().memory.results_unshared;
  };
  const Json one = matrix(3, 4);
  CHECK(arena(Json::array({one, one}).dump()) == 2 * arena(one.dump()));
  CHECK(arena(Json{{"x", one}}.dump()) == arena(one.dump()));
}
