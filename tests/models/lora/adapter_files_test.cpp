// Adapters in PEFT's layout: what is read, what is written, what is refused.

#include "models/lora/adapter_files.hpp"

#include "runtime/formats/safetensors_writer.hpp"
#include "support/files.hpp"
#include "support/numbers.hpp"
#include "support/references.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

using namespace attn;
using namespace attn::test;
using models::AdapterFile;
using models::AdapterModule;
using models::read_adapter;
using models::write_adapter;
using runtime::DType;

namespace {

AdapterModule random_module(const std::string& name, std::int64_t rank, std::int64_t in,
                            std::int64_t out) {
  return {name,
          rank,
          in,
          out,
          random_values(static_cast<std::size_t>(rank * in), 1),
          random_values(static_cast<std::size_t>(out * rank), 2)};
}

AdapterFile small_adapter() {
  AdapterFile adapter;
  adapter.rank = 2;
  adapter.alpha = 3;
  adapter.dropout = 0.25;
  adapter.targets = {"k_proj", "self_attn.q_proj"};
  adapter.base = "tiny";
  adapter.modules = {random_module("model.layers.0.self_attn.k_proj", 2, 5, 3),
                     random_module("model.layers.0.self_attn.q_proj", 2, 5, 7)};
  return adapter;
}

// A folder with a written adapter, either file of which can be changed.
class Changed {
 public:
  Changed() {
    write_adapter(folder_.path(), small_adapter());
    config_ = Json::parse(read_file(folder_ / models::adapter_config_name));
  }
  void config(const std::string& key, const Json& value) const {
    Json config = config_;
    config[key] = value;
    if (value.is_discarded()) config.erase(key);
    write_file(folder_ / models::adapter_config_name, config.dump());
  }
  void refuses(const std::string& key, const Json& value,
               std::initializer_list<std::string_view> parts) const {
    INFO(key << " = " << value.dump());
    config(key, value);
    require_error(ErrorKind::invalid, {"adapter_config.json: " + key}, [&] { read(); });
    require_error(ErrorKind::invalid, parts, [&] { read(); });
  }
  void takes(const std::string& key, const Json& value) const {
    INFO(key << " = " << value.dump());
    config(key, value);
    CHECK_NOTHROW(read());
  }
  AdapterFile read() const { return read_adapter(folder_.path()); }
  [[nodiscard]] const TemporaryFolder& folder() const { return folder_; }

 private:
  TemporaryFolder folder_;
  Json config_;
};

// Factors in a file: name behind "base_model.model.", rows, columns.
struct Factor {
  std::string name;
  std::vector<std::int64_t> shape;
  float value = 1;
};

void write_factors(const Changed& changed, const std::vector<Factor>& factors) {
  std::vector<std::vector<float>> values;
  std::vector<runtime::TensorEntry> entries;
  for (const Factor& factor : factors) {
    std::size_t count = 1;
    for (const std::int64_t dim : factor.shape) count *= static_cast<std::size_t>(dim);
    values.emplace_back(count, factor.value);
  }
  for (std::size_t i = 0; i < factors.size(); ++i) {
    entries.push_back({"base_model.model." + factors[i].name, DType::f32, factors[i].shape,
                       std::as_bytes(std::span(values[i]))});
  }
  runtime::write_safetensors(changed.folder() / models::adapter_weights_name, {}, entries);
}

}  // namespace

TEST_CASE("an adapter that PEFT wrote is read, F64 as F32", "[lora]") {
  const AdapterFile adapter = read_adapter(data_path("tiny-llama/lora"));
  CHECK(adapter.rank == 4);
  CHECK(adapter.alpha == 8);
  CHECK(adapter.dropout == 0);
  CHECK_FALSE(adapter.use_rslora);
  CHECK(adapter.targets == std::vector<std::string>{"v_proj", "q_proj", "gate_proj"});
  CHECK(adapter.base == "tiny-llama");
  REQUIRE(adapter.modules.size() == 6);
  const AdapterModule& gate = adapter.modules[0];
  CHECK(gate.name == "model.layers.0.mlp.gate_proj");
  CHECK(gate.rank == 4);
  CHECK(gate.in == 64);
  CHECK(gate.out == 128);
  CHECK(gate.a.size() == 4 * 64);
  CHECK(gate.b.size() == 128 * 4);
  CHECK(adapter.scale(gate) == 2);
  // the first number of the file's first tensor, which is this module's A
  const std::string bytes = read_file(data_path("tiny-llama/lora") / "adapter_model.safetensors");
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  double first = 0;
  std::memcpy(&first, bytes.data() + sizeof length + length, sizeof first);
  CHECK(gate.a[0] == static_cast<float>(first));
}

TEST_CASE("a written adapter read again is equal, and is written again as it was", "[lora]") {
  const TemporaryFolder folder;
  AdapterFile adapter = small_adapter();
  adapter.use_rslora = true;
  adapter.alpha = 2.5;
  adapter.base = "a \xff name";  // not UTF-8: a path may be anything
  adapter.modules.push_back(random_module("model.layers.1.self_attn.q_proj", 5, 4, 6));
  write_adapter(folder / "new/deep", adapter);
  AdapterFile again = read_adapter(folder / "new/deep");
  CHECK(again.base == "a \xef\xbf\xbd name");
  again.base = adapter.base;
  CHECK(again == adapter);
  CHECK(again.scale(again.modules[0]) == 2.5 / std::sqrt(2.0));
  CHECK(again.scale(again.modules[2]) == 2.5 / std::sqrt(5.0));

  const AdapterFile other = small_adapter();
  write_adapter(folder / "new/deep", other);  // over the old one
  CHECK(read_adapter(folder / "new/deep") == other);

  const Json config = Json::parse(read_file(folder / "new/deep/adapter_config.json"));
  CHECK(config["peft_type"] == "LORA");
  CHECK(config["task_type"] == "CAUSAL_LM");
  CHECK(config["lora_alpha"] == 3);
  CHECK(config["lora_alpha"].is_number_integer());
  CHECK(config["bias"] == "none");
  CHECK(config["inference_mode"] == true);
  CHECK(config["init_lora_weights"] == true);
  CHECK(config["rank_pattern"].empty());
  const auto weights = runtime::Safetensors::open(folder / "new/deep/adapter_model.safetensors");
  CHECK(weights.metadata().at("format") == "pt");
  CHECK(weights.find("base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight")->shape ==
        std::vector<std::int64_t>{7, 2});
}

TEST_CASE("an encoder's adapter may be of a model with a head", "[lora]") {
  Changed changed;
  const std::string query = "encoder.layer.0.attention.self.query";
  for (const std::string prefix : {"", "bert."}) {
    write_factors(changed, {{prefix + query + ".lora_A.weight", {2, 3}},
                            {prefix + query + ".lora_B.weight", {4, 2}}});
    CHECK(changed.read().modules.at(0).name == query);
  }
  write_adapter(changed.folder().path(), changed.read());
  const Json config = Json::parse(read_file(changed.folder() / models::adapter_config_name));
  CHECK(config["task_type"] == "FEATURE_EXTRACTION");
  write_factors(changed, {{query + ".lora_A.weight", {2, 3}},
                          {"bert." + query + ".lora_A.weight", {2, 3}},
                          {query + ".lora_B.weight", {4, 2}}});
  require_error(ErrorKind::invalid, {"query.lora_A", "twice"}, [&] { changed.read(); });
}

TEST_CASE("what an adapter's config asks for and is not done here is refused by name",
          "[lora][damage]") {
  const Changed changed;
  changed.takes("peft_type", "LORA");
  changed.refuses("peft_type", "IA3", {"IA3", "only LORA"});
  changed.refuses("peft_type", Json(Json::value_t::discarded), {"only LORA"});
  changed.refuses("use_dora", true, {"true is not done here"});
  changed.refuses("bias", "all", {"\"all\" is not done here"});
  changed.refuses("bias", 1, {"1"});
  changed.refuses("alpha_pattern", {{"q_proj", 4}}, {"is not done here"});
  changed.refuses("fan_in_fan_out", true, {"true"});
  changed.refuses("modules_to_save", Json::array({"lm_head"}), {"is not done here"});
  changed.takes("modules_to_save", Json::array());
  changed.refuses("trainable_token_indices", Json::array({1}), {"is not done here"});
  changed.refuses("lora_bias", true, {"true"});
  changed.refuses("layer_replication", Json::array({Json::array({0, 1})}), {"is not done here"});
  changed.refuses("init_lora_weights", "pissa", {"pissa"});
  changed.takes("init_lora_weights", "gaussian");
  for (const Json& r : {Json(0), Json(-1), Json(1025), Json(2.5), Json("2"), Json(nullptr)}) {
    changed.refuses("r", r, {"r"});
  }
  changed.refuses("r", 1025, {"1025", "1 to 1024"});
  changed.refuses("lora_alpha", "x", {"no finite number"});
  changed.refuses("lora_alpha", Json(Json::value_t::discarded), {"is missing"});
  changed.takes("lora_alpha", 1.5);
  changed.refuses("lora_dropout", 1, {"[0, 1)"});
  changed.refuses("target_modules", 3, {"3"});
  changed.refuses("target_modules", Json::array({1}), {"1"});
  changed.refuses("use_rslora", "x", {"no boolean"});
  changed.refuses("base_model_name_or_path", 5, {"5"});
  changed.refuses("rank_pattern", 5, {"5"});
  changed.takes("rank_pattern", nullptr);
  changed.config("target_modules", "all-linear");
  CHECK(changed.read().targets == std::vector<std::string>{"model.layers.0.self_attn.k_proj",
                                                           "model.layers.0.self_attn.q_proj"});
  changed.config("r", 3);
  require_error(ErrorKind::invalid, {"adapter_model.safetensors", "k_proj.lora_A", "2 rows", "3"},
                [&] { changed.read(); });
  write_file(changed.folder() / models::adapter_config_name, "[1]");
  require_error(ErrorKind::invalid, {"adapter_config.json", "no object"}, [&] { changed.read(); });
  write_file(changed.folder() / models::adapter_config_name, "{");
  require_error(ErrorKind::invalid, {"adapter_config.json"}, [&] { changed.read(); });
}

TEST_CASE("factors that are none, or do not fit each other, are refused by name",
          "[lora][damage]") {
  const Changed changed;
  const auto refuses = [&](const std::vector<Factor>& factors,
                           std::initializer_list<std::string_view> parts) {
    write_factors(changed, factors);
    require_error(ErrorKind::invalid, {"adapter_model.safetensors"}, [&] { changed.read(); });
    require_error(ErrorKind::invalid, parts, [&] { changed.read(); });
  };
  const Factor a{"x.q_proj.lora_A.weight", {2, 3}}, b{"x.q_proj.lora_B.weight", {4, 2}};
  refuses({}, {"no factors"});
  refuses({a}, {"q_proj.lora_A", "no lora_B"});
  refuses({b}, {"q_proj.lora_B", "no lora_A"});
  refuses({a, b, {"x.q_proj.lora_magnitude_vector", {4}}}, {"lora_magnitude_vector"});
  refuses({a, b, {"x.q_proj.lora_B.bias", {4}}}, {"lora_B.bias"});
  refuses({a, b, {"x.embed_tokens.lora_embedding_A", {2, 4}}}, {"embedding"});
  refuses({a, {b.name, {4, 3}}}, {"q_proj.lora_B", "[4, 3]", "[2, 3]"});
  refuses({a, {b.name, {4}}}, {"q_proj.lora_B", "[4]", "no matrix"});
  refuses({{a.name, {0, 3}}, {b.name, {4, 0}}}, {"q_proj.lora_A", "[0, 3]"});
  refuses({{a.name, {1025, 1}}, {b.name, {1, 1025}}}, {"1025", "1024"});
  refuses({{a.name, a.shape, NAN}, b}, {"q_proj.lora_A", "NaN"});
  refuses({a, {b.name, b.shape, INFINITY}}, {"q_proj.lora_B", "infinity"});

  const std::vector<std::int32_t> whole(6, 1);
  const std::vector<double> large(8, 1e300);
  const auto with = [&](runtime::TensorEntry entry) {
    const std::vector<float> values(8, 1);
    const std::vector<runtime::TensorEntry> entries{
        std::move(entry),
        {"base_model.model." + b.name, DType::f32, b.shape, std::as_bytes(std::span(values))}};
    runtime::write_safetensors(changed.folder() / models::adapter_weights_name, {}, entries);
  };
  with({"base_model.model." + a.name, DType::i32, {2, 3}, std::as_bytes(std::span(whole))});
  require_error(ErrorKind::invalid, {"q_proj.lora_A", "I32"}, [&] { changed.read(); });
  with({"base_model.model." + a.name, DType::f64, {2, 4}, std::as_bytes(std::span(large))});
  require_error(ErrorKind::invalid, {"q_proj.lora_A", "F32"}, [&] { changed.read(); });
  with({a.name, DType::f32, {2, 3}, std::as_bytes(std::span(whole))});
  require_error(ErrorKind::invalid, {"base_model.model."}, [&] { changed.read(); });

  std::filesystem::remove(changed.folder() / models::adapter_weights_name);
  require_error(ErrorKind::io, {"adapter_model.safetensors"}, [&] { changed.read(); });
  std::filesystem::remove(changed.folder() / models::adapter_config_name);
  require_error(ErrorKind::io, {"adapter_config.json"}, [&] { changed.read(); });
}

TEST_CASE("a 16-bit adapter is read exactly", "[lora]") {
  const Changed changed;
  const std::vector<std::uint16_t> halves(10, 0x3e00), brains(14, 0xbfc0);  // 1.5 and -1.5
  const std::vector<float> rest(20, 1);
  const std::string name = "base_model.model.m.";
  write_adapter(changed.folder().path(), small_adapter());
  const std::vector<runtime::TensorEntry> entries{
      {name + "lora_A.weight", DType::f16, {2, 5}, std::as_bytes(std::span(halves))},
      {name + "lora_B.weight", DType::bf16, {7, 2}, std::as_bytes(std::span(brains))}};
  runtime::write_safetensors(changed.folder() / models::adapter_weights_name, {}, entries);
  const AdapterFile adapter = changed.read();
  CHECK(adapter.modules.at(0).a == std::vector<float>(10, 1.5F));
  CHECK(adapter.modules.at(0).b == std::vector<float>(14, -1.5F));
}

TEST_CASE("an adapter that is not finite, or has no place, is not written", "[lora][damage]") {
  const TemporaryFolder folder;
  AdapterFile adapter = small_adapter();
  adapter.modules[1].b[3] = std::numeric_limits<float>::quiet_NaN();
  require_error(ErrorKind::numerical, {"lora_B", "q_proj"},
                [&] { write_adapter(folder / "new", adapter); });
  CHECK(folder.entries() == 0);
  write_file(folder / "file", "x");
  require_error(ErrorKind::io, {"file"}, [&] { write_adapter(folder / "file", small_adapter()); });
  require_error(ErrorKind::io, {"file"},
                [&] { write_adapter(folder / "file/new", small_adapter()); });
}
