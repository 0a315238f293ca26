// Training a small llama, held against PyTorch's AdamW in float64: every step's loss, the first
// gradients; and what must not change the bits.

#include "models/training/trainer.hpp"

#include "models/training/tiny.hpp"
#include "runtime/formats/safetensors.hpp"
#include "support/files.hpp"
#include "support/models.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace attn;
using namespace attn::models;
using attn::runtime::DType;
using test::data_json;
using test::data_path;
using test::TinyModel;

namespace {

const test::Json& reference() {
  static const test::Json json = data_json("tiny-llama/training.json");
  return json;
}

std::vector<TuneExample> batch() {
  std::vector<TuneExample> examples;
  for (const test::Json& row : reference()["batch"]) {
    examples.push_back({.tokens = row.get<std::vector<std::int32_t>>()});
  }
  return examples;
}

TuneOptions options_for(const char* method) {
  const test::Json& expected = reference()[method];
  TuneOptions options;
  options.method = method == std::string("full") ? TuneMethod::full : TuneMethod::lora;
  options.context = 20;
  options.batch_size = 3;
  options.learning_rate = expected["lr"];
  options.weight_decay = expected["weight_decay"];
  if (options.method == TuneMethod::lora) options.lora.start = data_path("tiny-llama/lora");
  return options;
}

std::vector<double> numbers(std::span<const std::byte> bytes, DType type) {
  std::vector<double> all;
  const std::size_t size = runtime::dtype_size(type);
  for (std::size_t at = 0; at < bytes.size(); at += size) {
    if (type == DType::f64) {
      double x = 0;
      std::memcpy(&x, bytes.data() + at, size);
      all.push_back(x);
    } else {
      float x = 0;
      std::memcpy(&x, bytes.data() + at, size);
      all.push_back(static_cast<double>(x));
    }
  }
  return all;
}

// "base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight" as ours.
std::string our_name(std::string name) {
  const std::string front = "base_model.model.";
  if (!name.starts_with(front)) return name;
  name = name.substr(front.size());
  return name.substr(0, name.find(".default.")) + ".0";
}

void check_first_gradients(const char* method, DType type, kernels::Isa isa, double bound) {
  TinyModel model("tiny-llama");
  TuneOptions options = options_for(method);
  options.clip = 1e9;  // holds gradients, and changes none
  Trainer trainer(model.at(isa), options, type);
  const double loss = trainer.step(batch()).loss;
  CHECK(std::abs(loss - reference()[method]["losses"][0].get<double>()) < 1e-4);
  for (const auto& [name, expected] : reference()[method]["first_gradients"].items()) {
    INFO(name);
    const auto found = numbers(trainer.gradient(our_name(name)), type);
    double square = 0;
    for (const double x : found) square += x * x;
    const double norm = expected["norm"];
    CHECK(std::abs(std::sqrt(square) - norm) <= bound * norm);
    for (std::size_t i = 0; i < expected["first"].size(); ++i) {
      CHECK(std::abs(found[i] - expected["first"][i].get<double>()) <= bound * norm);
    }
  }
}

// The factors of the reference are float64, and a trainer takes them as float32.
void begin_exactly(Trainer& trainer) {
  const auto file =
      runtime::Safetensors::open(data_path("tiny-llama/lora/adapter_model.safetensors"));
  for (Parameter& each : trainer.parameters().all()) {
    std::string name = "base_model.model." + each.name;
    name.replace(name.rfind(".0"), 2, ".weight");
    const runtime::TensorEntry* const entry = file.find(name);
    REQUIRE(entry != nullptr);
    REQUIRE(entry->data.size() == each.value.bytes());
    std::memcpy(each.value.data(), entry->data.data(), each.value.bytes());
  }
}

void check_losses(TuneOptions options, const char* method, DType type, kernels::Isa isa,
                  double bound) {
  TinyModel model("tiny-llama");
  Trainer trainer(model.at(isa), options, type);
  if (type == DType::f64 && options.method == TuneMethod::lora) begin_exactly(trainer);
  const std::vector<TuneExample> examples = batch();
  // those of training.json are float32, whose steps are 5e-7
  const test::Json losses = type == DType::f64
                                ? data_json("tiny-llama/training_float64.json")[method]
                                : reference()[method]["losses"];
  for (const test::Json& expected : losses) {
    const double loss = trainer.step(examples).loss;
    INFO("step " << trainer.steps() << " " << loss << " " << expected.get<double>());
    CHECK(std::abs(loss - expected.get<double>()) <= bound);
  }
}

std::vector<std::byte> trained(TuneOptions options, int threads, int steps = 3) {
  TinyModel model("tiny-llama");
  Trainer trainer(model.at(kernels::supported_isas().back(), threads), options);
  const std::vector<TuneExample> examples = batch();
  for (int i = 0; i < steps; ++i) (void)trainer.step(examples);
  std::vector<std::byte> all;
  for (const Parameter& each : trainer.parameters().all()) {
    all.insert(all.end(), each.value.data(), each.value.data() + each.value.bytes());
  }
  return all;
}

}  // namespace

TEST_CASE("first gradients are PyTorch's") {
  for (const char* method : {"full", "lora"}) {
    INFO(method);
    check_first_gradients(method, DType::f64, kernels::Isa::scalar, 1e-7);
    for (const kernels::Isa isa : kernels::supported_isas()) {
      INFO(kernels::isa_name(isa));
      check_first_gradients(method, DType::f32, isa, 1e-4);
    }
  }
}

TEST_CASE("ten steps of AdamW have PyTorch's losses") {
  for (const char* method : {"full", "lora"}) {
    INFO(method);
    check_losses(options_for(method), method, DType::f64, kernels::Isa::scalar, 1e-8);
    for (const kernels::Isa isa : kernels::supported_isas()) {
      INFO(kernels::isa_name(isa));
      check_losses(options_for(method), method, DType::f32, isa, 1e-4);
    }
  }
}

TEST_CASE("held gradients, batches that add up and recomputed activations train alike") {
  for (const char* method : {"full", "lora"}) {
    INFO(method);
    TuneOptions options = options_for(method);
    SECTION("held") { options.clip = 1e9; }
    SECTION("accumulated") {
      options.batch_size = 1;
      options.accumulate = 3;
    }
    SECTION("recomputed") { options.checkpoint_activations = true; }
    check_losses(options, method, DType::f64, kernels::Isa::scalar, 1e-8);
    check_losses(options, method, DType::f32, kernels::supported_isas().back(), 1e-4);
  }
}

TEST_CASE("in bfloat16 too the bits depend neither on threads nor on recomputing") {
  // long enough for attention to have products of bfloat16 where nothing is learned
  std::vector<TuneExample> examples(2);
  for (std::size_t i = 0; i < 100; ++i) {
    examples[0].tokens.push_back(static_cast<std::int32_t>((i * 37 + 11) % 256));
    if (i < 70) examples[1].tokens.push_back(static_cast<std::int32_t>((i * 91 + 5) % 256));
  }
  for (const kernels::Isa isa : kernels::supported_isas()) {
    for (const TuneMethod method : {TuneMethod::lora, TuneMethod::full}) {
      INFO(kernels::isa_name(isa) << (method == TuneMethod::lora ? " lora" : " full"));
      const auto after = [&](bool recomputed, int threads) {
        TinyModel model("tiny-llama");
        TuneOptions options;
        options.method = method;
        options.context = 128;
        options.batch_size = 2;
        options.learning_rate = 1e-3;
        options.precision = Precision::bf16;
        options.checkpoint_activations = recomputed;
        Trainer trainer(model.at(isa, threads), options);
        std::vector<double> losses;
        for (int i = 0; i < 3; ++i) losses.push_back(trainer.step(examples).loss);
        return losses;
      };
      const std::vector<double> one = after(false, 1);
      CHECK(one[2] < one[0]);
      CHECK(after(false, 3) == one);
      CHECK(after(true, 2) == one);
    }
  }
}

TEST_CASE("the bits of training depend neither on threads nor on recomputing") {
  for (const char* method : {"full", "lora"}) {
    INFO(method);
    TuneOptions options = options_for(method);
    options.precision = Precision::f32;
    const std::vector<std::byte> one = trained(options, 1);
    CHECK(trained(options, 2) == one);
    CHECK(trained(options, 3) == one);
    options.checkpoint_activations = true;
    CHECK(trained(options, 2) == one);
  }
}
