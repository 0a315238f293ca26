// A folder in the Hugging Face layout: config.json as transformers 4 and 5 write it, safetensors in
// one file or in shards, a tokenizer, and what sentence-transformers puts beside them.

#include "attn/error.hpp"
#include "models/json_config.hpp"
#include "models/source/source.hpp"
#include "runtime/formats/json.hpp"
#include "runtime/formats/mapped_file.hpp"
#include "runtime/formats/sharded.hpp"
#include "runtime/formats/text.hpp"

#include <algorithm>
#include <limits>
#include <optional>

namespace attn::models {
namespace {

using runtime::Json;
using runtime::quote;

std::string read_text_if(const std::filesystem::path& path) {
  if (!runtime::there_is(path)) return {};
  const auto file = runtime::MappedFile::open(path);
  const auto bytes = file.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// A whole number into the metadata, under the same key.
void take_whole(const JsonConfig& config, const char* key, Metadata& to) {
  const std::string field = config.name() + ": " + key;
  to.set(std::string("attn.") + key, std::to_string(runtime::json_size(config.need(key), field)));
}

void take_whole_if(const JsonConfig& config, const char* key, Metadata& to) {
  if (config.find(key) != nullptr) take_whole(config, key, to);
}

// Only one of these, or none, is done here.
void only(const JsonConfig& config, const char* key, std::initializer_list<const char*> known) {
  if (config.find(key) == nullptr) return;
  const std::string text = config.text(key);
  std::string list;
  for (const char* each : known) {
    if (text == each) return;
    list += (list.empty() ? "" : ", ") + std::string(each);
  }
  config.fail(std::string(key) + ": " + quote(text) + " is not done here, only " + list);
}

// rope_theta and rope_scaling (transformers 4), or rope_parameters with both (5).
void read_rope(const JsonConfig& config, Metadata& to) {
  JsonConfig scaling(config.name(), Json::object());
  std::optional<double> theta = config.number("rope_theta");
  if (config.find("rope_scaling") != nullptr && config.find("rope_parameters") != nullptr) {
    config.fail("rope_scaling: stands beside rope_parameters, which replaced it");
  }
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    const Json* value = config.find(key);
    if (value == nullptr) continue;
    if (!value->is_object()) config.fail(std::string(key) + ": is " + runtime::json_text(*value));
    scaling = JsonConfig(config.name() + ": " + key, *value);
    if (const auto inside = scaling.number("rope_theta")) theta = inside;
  }
  constexpr double usual_theta = 10000;  // transformers' default
  to.set("attn.rope_theta", to_text(theta.value_or(usual_theta)));
  to.set("attn.rope_layout", "half");
  const std::string type = scaling.text("rope_type", scaling.text("type", "default"));
  if (const auto part = scaling.number("partial_rotary_factor"); part && *part != 1) {
    scaling.fail("partial_rotary_factor: " + to_text(*part) + " is not done here");
  }
  if (type == "default") return;
  if (type != "linear" && type != "llama3") {
    scaling.fail("rope_type: " + quote(type) + " is not done here, only default, linear, llama3");
  }
  Json kept = Json::object();
  kept["rope_type"] = type;
  for (const char* key :
       {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"}) {
    if (const auto value = scaling.number(key)) {
      kept[key] = *value;
    } else if (type == "llama3" || std::string_view(key) == "factor") {
      scaling.fail(std::string(key) + " is missing");
    }
  }
  to.set("attn.rope_scaling", kept.dump());
}

void read_decoder(const JsonConfig& config, const std::string& type, Metadata& to) {
  to.set("attn.architecture", type == "mistral" ? "llama" : type);
  for (const char* key : {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
                          "num_attention_heads", "max_position_embeddings"}) {
    take_whole(config, key, to);
  }
  take_whole_if(config, "num_key_value_heads", to);
  take_whole_if(config, "head_dim", to);
  constexpr double usual_eps = 1e-6;  // transformers' default
  to.set("attn.rms_norm_eps", to_text(config.number("rms_norm_eps").value_or(usual_eps)));
  only(config, "hidden_act", {"silu"});
  to.set("attn.hidden_act", "silu");
  read_rope(config, to);
  const bool windowed = type == "mistral" || (type == "qwen2" && config.flag("use_sliding_window"));
  if (windowed && config.find("sliding_window") != nullptr) {
    if (type == "qwen2") config.fail("use_sliding_window: true is not done here");
    take_whole(config, "sliding_window", to);
  }
  if (const Json* layers = config.find("layer_types"); layers != nullptr && !windowed) {
    for (const Json& layer : *layers) {
      if (layer != "full_attention") {
        config.fail("layer_types: " + runtime::json_text(layer) + " is not done here");
      }
    }
  }
  for (const char* key : {"mlp_bias"}) {
    if (config.flag(key)) config.fail(std::string(key) + ": true is not done here");
  }
}

void read_pooling(const std::filesystem::path& folder, Metadata& to) {
  const std::string modules_text = read_text_if(folder / "modules.json");
  if (modules_text.empty()) return;
  const std::string where = runtime::path_text(folder / "modules.json");
  const Json modules = runtime::parse_json(modules_text, where);
  to.set("attn.normalize", "false");
  for (const Json& module : modules) {
    const std::string& type =
        runtime::json_string(runtime::json_member(module, "type", where), where + ": type");
    const std::string kind = type.substr(type.rfind('.') + 1);
    if (kind == "Normalize") {
      to.set("attn.normalize", "true");
    } else if (kind == "Pooling") {
      const std::string path =
          runtime::json_string(runtime::json_member(module, "path", where), where + ": path");
      const auto file = folder / path / "config.json";
      if (std::filesystem::path(path).is_absolute() || path.find("..") != std::string::npos) {
        throw Error(ErrorKind::invalid, where + ": path: " + quote(path) + " leaves the folder");
      }
      const JsonConfig pooling(file);
      const bool mean = pooling.flag("pooling_mode_mean_tokens");
      const bool cls = pooling.flag("pooling_mode_cls_token");
      for (const char* other : {"pooling_mode_max_tokens", "pooling_mode_mean_sqrt_len_tokens",
                                "pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken"}) {
        if (pooling.flag(other)) pooling.fail(std::string(other) + ": true is not done here");
      }
      if (mean == cls) pooling.fail("exactly one of mean and CLS pooling is done here");
      to.set("attn.pooling", mean ? "mean" : "cls");
    } else if (kind != "Transformer") {
      throw Error(ErrorKind::invalid, where + ": the module " + quote(type) + " is not done here");
    }
  }
}

void read_encoder(const JsonConfig& config, const std::filesystem::path& folder, Metadata& to) {
  to.set("attn.architecture", "bert");
  for (const char* key : {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
                          "num_attention_heads", "max_position_embeddings", "type_vocab_size"}) {
    take_whole(config, key, to);
  }
  constexpr double usual_eps = 1e-12;  // transformers' default
  to.set("attn.layer_norm_eps", to_text(config.number("layer_norm_eps").value_or(usual_eps)));
  only(config, "hidden_act", {"gelu", "gelu_new", "gelu_pytorch_tanh", "relu"});
  only(config, "position_embedding_type", {"absolute"});
  if (config.flag("is_decoder")) config.fail("is_decoder: true is not done here");
  to.set("attn.hidden_act", config.text("hidden_act", "gelu"));
  read_pooling(folder, to);
  const auto limits = folder / "sentence_bert_config.json";
  if (runtime::there_is(limits)) take_whole_if(JsonConfig(limits), "max_seq_length", to);
}

// Encoders without the "bert." that may stand in front, decoders with "model.", which may not.
std::string canonical(const std::string& name, bool encoder) {
  constexpr std::string_view bert = "bert.", model = "model.";
  if (encoder) return name.starts_with(bert) ? name.substr(bert.size()) : name;
  const bool inside =
      name.starts_with("layers.") || name.starts_with("embed_tokens.") || name.starts_with("norm.");
  return inside ? std::string(model) + name : name;
}

// The ids that end a text: one number or several, of generation_config.json and config.json.
std::vector<std::int32_t> end_tokens(const std::filesystem::path& folder) {
  std::vector<std::int32_t> all;
  for (const char* const name : {"generation_config.json", "config.json"}) {
    if (!runtime::there_is(folder / name)) continue;
    const JsonConfig config(folder / name);
    const Json* const ends = config.find("eos_token_id");
    if (ends == nullptr) continue;
    for (const Json& end : ends->is_array() ? *ends : Json::array({*ends})) {
      const std::int64_t number = runtime::json_size(end, config.name() + ": eos_token_id");
      if (number > std::numeric_limits<std::int32_t>::max()) {
        config.fail("eos_token_id: " + std::to_string(number) + " is no token");
      }
      const auto id = static_cast<std::int32_t>(number);
      if (std::find(all.begin(), all.end(), id) == all.end()) all.push_back(id);
    }
  }
  return all;
}

}  // namespace

Source source_of_folder(const std::filesystem::path& folder, bool verify) {
  Source source;
  source.name = runtime::path_text(folder);
  source.foreign = true;
  const JsonConfig config(folder / "config.json");
  const std::string type = config.text("model_type");
  const bool encoder = type == "bert";
  if (encoder) {
    read_encoder(config, folder, source.metadata);
  } else if (type == "llama" || type == "mistral" || type == "qwen2") {
    read_decoder(config, type, source.metadata);
  } else {
    config.fail("model_type: " + quote(type) + " is none of llama, mistral, qwen2, bert");
  }

  auto weights = std::make_shared<runtime::Sharded>(runtime::Sharded::open(folder));
  if (verify) weights->verify();
  for (const runtime::TensorEntry& entry : weights->tensors()) {
    runtime::TensorEntry renamed = entry;
    renamed.name = canonical(entry.name, encoder);
    source.tensors.push_back(std::move(renamed));
  }
  source.keep_alive = std::move(weights);

  HuggingFaceTexts texts;
  texts.name = source.name;
  texts.tokenizer = read_text_if(folder / "tokenizer.json");
  texts.tokenizer_config = read_text_if(folder / "tokenizer_config.json");
  texts.special_tokens_map = read_text_if(folder / "special_tokens_map.json");
  texts.chat_template = read_text_if(folder / "chat_template.jinja");
  if (!texts.tokenizer.empty()) {
    source.tokenizer = tokenizer_from_huggingface(texts);
  }
  if (!encoder) {
    take_whole_if(config, "bos_token_id", source.metadata);
    const std::vector<std::int32_t> ends = end_tokens(folder);
    if (!ends.empty()) source.metadata.set("attn.eos_token_ids", Json(ends).dump());
  }
  return source;
}

}  // namespace attn::models
