// Parameters of language models and encoders that cannot be, and files that bring something else
// than their architecture has.

#include "attn/attn.hpp"
#include "models/source/source.hpp"
#include "models/transformer_config.hpp"
#include "support/files.hpp"
#include "support/references.hpp"

#include <catch2/catch.hpp>

#include <cmath>

using namespace attn;
using namespace attn::test;

namespace {

// A copy of a tiny model's folder with another config.json.
class Changed {
 public:
  explicit Changed(const std::string& model) : model_(model) {
    std::filesystem::copy(data_path(model), folder_.path(),
                          std::filesystem::copy_options::overwrite_existing |
                              std::filesystem::copy_options::recursive);
    config_ = data_json(model + "/config.json");
  }
  void refuses(const std::string& key, const Json& value,
               std::initializer_list<std::string_view> parts,
               ErrorKind kind = ErrorKind::invalid) const {
    Json config = config_;
    config[key] = value;
    if (value.is_discarded()) config.erase(key);
    write_file(folder_ / "config.json", config.dump());
    INFO(key << " = " << value.dump());
    require_error(kind, parts, [&] { (void)Model::open(folder_.path()); });
  }
  void opens(const std::string& key, const Json& value) const {
    Json config = config_;
    config[key] = value;
    write_file(folder_ / "config.json", config.dump());
    INFO(key << " = " << value.dump());
    CHECK_NOTHROW(Model::open(folder_.path()));
  }
  [[nodiscard]] const TemporaryFolder& folder() const { return folder_; }

 private:
  std::string model_;
  TemporaryFolder folder_;
  Json config_;
};

models::DecoderConfig config_with(const Json& scaling) {
  models::Metadata metadata;
  for (const auto& [key, value] :
       std::map<std::string, std::string>{{"hidden_size", "64"},
                                          {"intermediate_size", "96"},
                                          {"num_hidden_layers", "1"},
                                          {"num_attention_heads", "1"},
                                          {"max_position_embeddings", "128"},
                                          {"rms_norm_eps", "1e-6"},
                                          {"hidden_act", "silu"},
                                          {"rope_theta", "500000.0"},
                                          {"rope_layout", "half"}}) {
    metadata.set("attn." + key, value);
  }
  if (!scaling.is_null()) metadata.set("attn.rope_scaling", scaling.dump());
  return models::decoder_config(metadata, {{"model.embed_tokens.weight", {16, 64}}});
}

}  // namespace

TEST_CASE("parameters of a decoder that cannot be are refused by name", "[models][damage]") {
  const Changed llama("tiny-llama");
  llama.opens("rope_theta", 10000.0);
  llama.refuses("num_attention_heads", 0, {"num_attention_heads", "0"});
  llama.refuses("num_key_value_heads", 8, {"num_key_value_heads", "8", "4 heads"});
  llama.refuses("num_key_value_heads", 3, {"num_key_value_heads", "3"});
  llama.refuses("num_hidden_layers", 2147483648, {"num_hidden_layers", "2147483648"});
  llama.refuses("num_hidden_layers", -1, {"config.json", "num_hidden_layers", "-1"});
  llama.refuses("num_hidden_layers", 1.5, {"num_hidden_layers", "1.5"});
  llama.refuses("num_hidden_layers", 3, {"model.layers.2.", "missing"});
  llama.refuses("head_dim", 15, {"head_dim", "15", "pairs"});
  llama.refuses("head_dim", 32, {"q_proj.weight", "[64, 64]", "[128, 64]"});
  llama.refuses("hidden_size", 128, {"[256, 64]", "[256, 128]"});
  llama.refuses("vocab_size", 255, {"vocab_size", "255", "256 rows"});
  llama.refuses("hidden_act", "gelu", {"config.json", "hidden_act", "gelu"});
  llama.refuses("model_type", "falcon", {"config.json", "model_type", "falcon", "llama"});
  llama.refuses("model_type", 7, {"model_type"});
  llama.refuses("rms_norm_eps", "x", {"rms_norm_eps"});
  llama.refuses("rope_parameters", {{"rope_type", "yarn"}, {"rope_theta", 10000.0}},
                {"rope_type", "yarn"});
  llama.refuses("rope_parameters", {{"type", "dynamic"}, {"factor", 2.0}}, {"dynamic"});
  llama.refuses("rope_parameters", {{"rope_type", "llama3"}, {"factor", 8.0}}, {"low_freq_factor"});
  llama.refuses("rope_scaling", {{"type", "dynamic"}, {"factor", 2.0}},
                {"rope_scaling", "rope_parameters"});
  llama.refuses("rope_scaling", 5, {"rope_scaling"});
  llama.refuses("mlp_bias", true, {"mlp_bias"});
  llama.refuses("max_position_embeddings", Json(Json::value_t::discarded),
                {"max_position_embeddings", "missing"});
  write_file(llama.folder() / "config.json", "{\"a\": ");
  require_error(ErrorKind::invalid, {"config.json"},
                [&] { (void)Model::open(llama.folder().path()); });
  std::filesystem::remove(llama.folder() / "config.json");
  require_error(ErrorKind::io, {"config.json"}, [&] { (void)Model::open(llama.folder().path()); });
}

TEST_CASE("parameters of an encoder that cannot be are refused by name", "[models][damage]") {
  const Changed bert("tiny-bert");
  bert.refuses("num_attention_heads", 5, {"hidden_size", "64", "5 heads"});
  bert.refuses("hidden_act", "swish", {"hidden_act", "swish"});
  bert.refuses("position_embedding_type", "relative_key", {"position_embedding_type"});
  bert.refuses("is_decoder", true, {"is_decoder"});
  bert.refuses("max_position_embeddings", 32, {"position_embeddings", "[64, 64]", "[32, 64]"});
  write_file(bert.folder() / "config.json", data_json("tiny-bert/config.json").dump());
  const auto modules = [&](const std::string& text) {
    write_file(bert.folder() / "modules.json", text);
  };
  modules(R"([{"type": "sentence_transformers.models.Dense", "path": "2_Dense"}])");
  require_error(ErrorKind::invalid, {"modules.json", "Dense"},
                [&] { (void)Model::open(bert.folder().path()); });
  modules(R"([{"type": "sentence_transformers.models.Pooling", "path": "../x"}])");
  require_error(ErrorKind::invalid, {"modules.json", "leaves the folder"},
                [&] { (void)Model::open(bert.folder().path()); });
  modules(R"([{"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}])");
  std::filesystem::create_directory(bert.folder() / "1_Pooling");
  write_file(bert.folder() / "1_Pooling/config.json", R"({"pooling_mode_max_tokens": true})");
  require_error(ErrorKind::invalid, {"pooling_mode_max_tokens"},
                [&] { (void)Model::open(bert.folder().path()); });
  write_file(bert.folder() / "1_Pooling/config.json", R"({"pooling_mode_cls_token": true})");
  Model cls = Model::open(bert.folder().path());
  const std::vector<std::vector<std::int32_t>> text{{1, 2, 3}};
  const Embeddings embedded = cls.embed(text);  // the first state, as it is
  const std::vector<std::int32_t> positions{0, 1, 2}, types(3);
  const auto hidden = cls.run({{"tokens", {3}, std::span(text[0])},
                               {"positions", {3}, std::span(positions)},
                               {"token_types", {3}, std::span(types)}});
  CHECK(largest_difference(embedded.values, hidden[0].values.first(64)) <= 1e-6);
}

TEST_CASE("rotary scaling follows transformers' formulas", "[models]") {
  const std::vector<double> plain = config_with(nullptr).rope_frequencies;
  REQUIRE(plain.size() == 32);
  CHECK(plain[0] == 1);
  CHECK(plain[16] == Approx(1 / std::sqrt(500000.0)));
  const std::vector<double> linear =
      config_with({{"rope_type", "linear"}, {"factor", 4}}).rope_frequencies;
  const std::vector<double> scaled = config_with({{"rope_type", "llama3"},
                                                  {"factor", 8},
                                                  {"low_freq_factor", 1},
                                                  {"high_freq_factor", 4},
                                                  {"original_max_position_embeddings", 8192}})
                                         .rope_frequencies;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    CHECK(linear[i] == Approx(plain[i] / 4));
    const double wavelength = 2 * std::acos(-1.0) / plain[i];
    if (wavelength < 8192.0 / 4) CHECK(scaled[i] == plain[i]);
    if (wavelength > 8192) CHECK(scaled[i] == Approx(plain[i] / 8));
    CHECK((scaled[i] <= plain[i] && scaled[i] >= plain[i] / 8.0001));
  }
  // between both, transformers 5 gives for the frequency of index 15 (head_dim 64, theta 500000)
  CHECK(scaled[15] ==
        Approx(plain[15] * ((8192 * plain[15] / (2 * std::acos(-1.0)) - 1) / 3 * 7 / 8 + 1.0 / 8))
            .epsilon(1e-9));
  require_error(ErrorKind::invalid, {"rope_scaling", "factor"}, [] {
    (void)config_with({{"rope_type", "linear"}, {"factor", 0}});
  });
  require_error(ErrorKind::invalid, {"rope_scaling", "3 factors", "32"}, [] {
    (void)config_with({{"rope_type", "factors"}, {"factors", {1, 2, 3}}});
  });
}

TEST_CASE("a model.bin's tensors are those of its architecture, whole", "[models][damage]") {
  const TemporaryFolder folder;
  models::Source source = models::open_source(data_path("tiny-bert"), true);
  CHECK(source.foreign);
  Model::open(data_path("tiny-bert")).save(folder / "b.bin");
  Model packed = Model::open(folder / "b.bin");
  const std::vector<std::vector<std::int32_t>> text{{1, 2, 3}};
  CHECK(packed.embed(text).values == Model::open(data_path("tiny-bert")).embed(text).values);
}
