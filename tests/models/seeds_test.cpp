// The four teaching architectures against PyTorch's float64 values (tests/data/seeds.json).

#include "attn/attn.hpp"
#include "kernels/isa.hpp"
#include "models/architecture.hpp"
#include "models/size_loss_task.hpp"
#include "models/source/source.hpp"
#include "models/weights.hpp"
#include "support/models.hpp"
#include "support/numbers.hpp"
#include "support/sessions.hpp"

#include <catch2/catch.hpp>

#include <fstream>

using namespace attn::test;
using attn::Dims;
using attn::Model;
using attn::Options;

namespace {

// f32 against f64 for a handful of operations on numbers of order 1
constexpr double tolerance = 2e-6;

std::vector<Options> at_every_level() {
  std::vector<Options> all;
  for (const auto isa : attn::kernels::supported_isas()) {
    for (const int threads : {1, 2}) {
      Options options;
      options.isa = attn::kernels::isa_name(isa);
      options.threads = threads;
      all.push_back(options);
    }
  }
  return all;
}

void close(const attn::Output& output, const Json& expected) {
  const std::vector<double> exact = numbers(expected);
  REQUIRE(output.shape == shape_of(expected));
  REQUIRE(largest_difference(std::vector<float>(output.values.begin(), output.values.end()),
                             exact) <= tolerance);
}

}  // namespace

TEST_CASE("self_attention without projections", "[models][seeds]") {
  const Json& seed = seeds()["self_attention"];
  for (const Options& options : at_every_level()) {
    Model model = Model::create("self_attention", {}, 1, options);
    const auto x = floats(seed["inputs"]);
    const auto outputs = model.run({{"x", shape_of(seed["inputs"]), std::span<const float>(x)}});
    REQUIRE(outputs.size() == 2);
    REQUIRE(outputs[0].name == "attention_weights");
    REQUIRE(outputs[1].name == "output");
    close(outputs[0], seed["attention_weights"]);
    close(outputs[1], seed["output"]);
  }
}

TEST_CASE("attention_mechanism", "[models][seeds]") {
  const Json& seed = seeds()["attention_mechanism"];
  const auto file =
      model_file({{"attn.architecture", "attention_mechanism"}}, {{"weight", seed["weight"]}});
  for (const Options& options : at_every_level()) {
    Model model = Model::from_memory(file, "seed", options);
    const auto x = floats(seed["inputs"]);
    const auto outputs = model.run({{"x", shape_of(seed["inputs"]), std::span<const float>(x)}});
    close(outputs[0], seed["attention_weights"]);
    REQUIRE(outputs[1].name == "context_vector");
    close(outputs[1], seed["context_vector"]);
  }
}

TEST_CASE("multi_head_attention, alone and in a batch", "[models][seeds]") {
  const Json& seed = seeds()["multi_head_attention"];
  std::map<std::string, Json> tensors;
  for (const char* name :
       {"q_proj.weight", "k_proj.weight", "v_proj.weight", "out_proj.weight", "out_proj.bias"}) {
    tensors[name] = seed[name];
  }
  const auto file =
      model_file({{"attn.architecture", "multi_head_attention"}, {"attn.num_heads", "2"}}, tensors);
  for (const Options& options : at_every_level()) {
    Model model = Model::from_memory(file, "seed", options);
    const auto x = floats(seed["inputs"]);
    const auto outputs = model.run({{"x", {3, 4}, std::span<const float>(x)}});
    close(outputs[0], seed["attention_weights"]);
    close(outputs[1], seed["output"]);

    std::vector<float> twice = x;
    twice.insert(twice.end(), x.begin(), x.end());
    const auto batched = model.run({{"x", {2, 3, 4}, std::span<const float>(twice)}});
    REQUIRE(batched[0].shape == Dims{2, 2, 3, 3});
    close(batched[0], Json::array({seed["attention_weights"], seed["attention_weights"]}));
    close(batched[1], Json::array({seed["output"], seed["output"]}));
  }
}

TEST_CASE("size_loss_attention trains as PyTorch does, loss by loss", "[models][seeds]") {
  const Json& seed = seeds()["size_loss_attention"];
  const auto file = size_loss_file(seed["initial"]);
  for (const Options& options : at_every_level()) {
    Model model = Model::from_memory(file, "seed", options);
    const attn::TrainResult result = model.train({}, {});
    REQUIRE(largest_difference(result.losses, numbers(seed["losses"])) <= 1e-5);
    REQUIRE(largest_difference(result.attention_weights_before,
                               numbers(seed["attention_weights_before"])) <= tolerance);
    // 200 steps of Adam carry roundings along: the bound of the losses holds for the weights as
    // well
    REQUIRE(largest_difference(result.attention_weights_after,
                               numbers(seed["attention_weights_after"])) <= 1e-5);
    REQUIRE(result.combined_size_weight ==
            Approx(seed["combined_size_weight_after"].get<double>()).margin(1e-5));

    const auto ids = model.encode(model.sentence());
    const auto outputs = model.run(
        {{"tokens", {static_cast<std::int64_t>(ids.size())}, std::span<const std::int32_t>(ids)}});
    REQUIRE(
        largest_difference(std::vector<float>(outputs[0].values.begin(), outputs[0].values.end()),
                           numbers(seed["attention_weights_after"])) <= 1e-5);
    REQUIRE(
        largest_difference(std::vector<float>(outputs[1].values.begin(), outputs[1].values.end()),
                           numbers(seed["context_after"])) <= 2e-5);
  }
}

TEST_CASE("the size loss's first gradients are PyTorch's", "[models][seeds]") {
  using namespace attn::models;
  using namespace attn::runtime;
  const Json& seed = seeds()["size_loss_attention"];
  const auto bytes = size_loss_file(seed["initial"]);
  const Safetensors file = Safetensors::from_memory(bytes, "seed");
  const Metadata metadata(file.metadata());
  Shapes shapes;
  for (const TensorEntry& entry : file.tensors()) shapes[entry.name] = entry.shape;
  const Architecture& architecture = find_architecture("size_loss_attention", true);
  const std::vector<WeightSpec> specs = architecture.weights(metadata, shapes);
  const Weights weights = Weights::from_source(source_of(file, false), specs);
  const SizeLossData data =
      prepare_size_loss(Vocabulary(metadata.strings("attn.vocab")),
                        metadata.sentence("attn.sentence"), metadata.strings("attn.size_words"));
  Graph graph;
  const SizeLossGraph size = build_size_loss(graph, metadata, specs);
  REQUIRE(size.trained == std::vector<std::string>{"embedding.weight", "W_q.weight", "W_k.weight"});
  for (const auto isa : attn::kernels::supported_isas()) {
    Run run(graph, size.gradients, weights.bindings(graph), {13}, isa);
    run.set(size.tokens, data.ids);
    run.set(size.coefficients, data.coefficients);
    run.session.run();
    for (std::size_t i = 0; i < size.trained.size(); ++i) {
      INFO(size.trained[i]);
      REQUIRE(largest_difference(run.get<float>(size.gradients[i]),
                                 numbers(seed["first_gradients"][size.trained[i]])) <= 1e-6);
    }
  }
}
