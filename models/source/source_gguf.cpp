// GGUF (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): its names and keys in ours.

#include "attn/error.hpp"
#include "models/source/source.hpp"
#include "runtime/formats/json.hpp"
#include "runtime/formats/text.hpp"

#include <array>
#include <cstring>
#include <limits>

namespace attn::models {
namespace {

using runtime::Gguf;
using runtime::Json;
using runtime::quote;
using runtime::TensorEntry;

struct NameRow {
  std::string_view from, to;
};
// of the whole model
constexpr std::array<NameRow, 8> names{{
    {"token_embd.weight", "model.embed_tokens.weight"},
    {"output_norm.weight", "model.norm.weight"},
    {"output.weight", "lm_head.weight"},
    {"token_embd.bert", "embeddings.word_embeddings.weight"},
    {"position_embd.weight", "embeddings.position_embeddings.weight"},
    {"token_types.weight", "embeddings.token_type_embeddings.weight"},
    {"token_embd_norm.weight", "embeddings.LayerNorm.weight"},
    {"token_embd_norm.bias", "embeddings.LayerNorm.bias"},
}};
// of blk.N. and model.layers.N.
constexpr std::array<NameRow, 9> decoder_layer{{
    {"attn_norm", "input_layernorm"},
    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"},
    {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},
    {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
}};
// of blk.N. and encoder.layer.N.
constexpr std::array<NameRow, 8> encoder_layer{{
    {"attn_q", "attention.self.query"},
    {"attn_k", "attention.self.key"},
    {"attn_v", "attention.self.value"},
    {"attn_output", "attention.output.dense"},
    {"attn_output_norm", "attention.output.LayerNorm"},
    {"ffn_up", "intermediate.dense"},
    {"ffn_down", "output.dense"},
    {"layer_output_norm", "output.LayerNorm"},
}};

// The canonical name; empty for a tensor that has none.
std::string canonical(std::string_view name, bool encoder) {
  const std::string_view whole = encoder && name == "token_embd.weight" ? "token_embd.bert" : name;
  for (const NameRow& row : names) {
    if (row.from == whole) return std::string(row.to);
  }
  constexpr std::string_view layer = "blk.";
  if (!name.starts_with(layer)) return "";
  const std::size_t after = name.find('.', layer.size());
  const std::size_t kind = name.rfind('.');
  if (after == std::string_view::npos || kind <= after) return "";
  const std::string number(name.substr(layer.size(), after - layer.size()));
  const std::string_view part = name.substr(after + 1, kind - after - 1);
  const auto find = [&](const auto& table, const char* prefix) -> std::string {
    for (const NameRow& row : table) {
      if (row.from == part) {
        return prefix + number + "." + std::string(row.to) + std::string(name.substr(kind));
      }
    }
    return "";
  };
  return encoder ? find(encoder_layer, "encoder.layer.") : find(decoder_layer, "model.layers.");
}

// Copies the file's keys, where they are, under ours.
class Keys {
 public:
  Keys(const Gguf& file, std::string architecture, Metadata& to)
      : file_(file), prefix_(std::move(architecture) + "."), to_(to) {}

  void whole(const char* from, const char* to) {
    constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
    if (const auto value = file_.integer(prefix_ + from, 0, most)) {
      to_.set(to, std::to_string(*value));
    }
  }
  void number(const char* from, const char* to) {
    if (const auto value = file_.number(prefix_ + from)) to_.set(to, to_text(*value));
  }
  [[nodiscard]] std::optional<std::string_view> text(const char* from) const {
    return file_.text(prefix_ + from);
  }
  [[nodiscard]] std::optional<double> value(const char* from) const {
    return file_.number(prefix_ + from);
  }
  [[nodiscard]] std::string key(const char* from) const { return prefix_ + from; }

 private:
  const Gguf& file_;
  std::string prefix_;
  Metadata& to_;
};

// What decoders and encoders have alike.
void read_sizes(Keys& keys) {
  keys.whole("embedding_length", "attn.hidden_size");
  keys.whole("feed_forward_length", "attn.intermediate_size");
  keys.whole("block_count", "attn.num_hidden_layers");
  keys.whole("attention.head_count", "attn.num_attention_heads");
  keys.whole("context_length", "attn.max_position_embeddings");
}

[[noreturn]] void fail(const Gguf& file, const std::string& problem) {
  throw Error(ErrorKind::invalid, file.name() + ": " + problem);
}

void read_scaling(const Gguf& file, const Keys& keys, Metadata& to) {
  const auto type = keys.text("rope.scaling.type");
  if (!type || *type == "none") return;
  if (*type != "linear") {
    fail(file, "key " + quote(keys.key("rope.scaling.type")) + ": the scaling " + quote(*type) +
                   " is not known here");
  }
  const auto factor = keys.value("rope.scaling.factor");
  if (!factor) fail(file, "key " + quote(keys.key("rope.scaling.factor")) + " is missing");
  Json scaling = Json::object();
  scaling["rope_type"] = "linear";
  scaling["factor"] = *factor;
  to.set("attn.rope_scaling", scaling.dump());
}

void read_decoder(const Gguf& file, const std::string& architecture, Source& source) {
  Metadata& to = source.metadata;
  Keys keys(file, architecture, to);
  read_sizes(keys);
  keys.whole("attention.head_count_kv", "attn.num_key_value_heads");
  keys.whole("attention.key_length", "attn.head_dim");
  keys.whole("attention.sliding_window", "attn.sliding_window");
  keys.number("attention.layer_norm_rms_epsilon", "attn.rms_norm_eps");
  keys.number("rope.freq_base", "attn.rope_theta");
  if (!to.has("attn.rope_theta")) to.set("attn.rope_theta", "10000.0");  // as the format has it
  to.set("attn.hidden_act", "silu");
  // llama's q and k rows stand in these files so that neighbours are a pair
  to.set("attn.rope_layout", architecture == "llama" ? "interleaved" : "half");
  read_scaling(file, keys, to);
  const TensorEntry* const factors = file.find("rope_freqs.weight");
  if (factors != nullptr) {
    if (factors->dtype != runtime::DType::f32) fail(file, "tensor 'rope_freqs.weight' is not F32");
    std::vector<float> values(factors->data.size() / sizeof(float));
    if (!values.empty()) std::memcpy(values.data(), factors->data.data(), factors->data.size());
    Json scaling = Json::object();
    scaling["rope_type"] = "factors";
    scaling["factors"] = values;
    to.set("attn.rope_scaling", scaling.dump());
  }
}

void read_encoder(const Gguf& file, const std::string& architecture, Source& source) {
  Metadata& to = source.metadata;
  Keys keys(file, architecture, to);
  read_sizes(keys);
  keys.number("attention.layer_norm_epsilon", "attn.layer_norm_eps");
  to.set("attn.hidden_act", "gelu");
  const auto pooling = file.integer(keys.key("pooling_type"), 0, 4).value_or(1);
  if (pooling != 1 && pooling != 2) {
    fail(file, "key " + quote(keys.key("pooling_type")) + ": " + std::to_string(pooling) +
                   " is neither 1 (mean) nor 2 (CLS)");
  }
  to.set("attn.pooling", pooling == 1 ? "mean" : "cls");
  to.set("attn.normalize", "true");
}

}  // namespace

Source source_of(const Gguf& file) {
  Source source;
  source.name = file.name();
  source.foreign = true;
  source.keep_alive = std::make_shared<Gguf>(file);
  const auto architecture = file.text("general.architecture");
  if (!architecture) fail(file, "key 'general.architecture' is missing");
  const std::string name(*architecture);
  const bool encoder = name == "bert";
  if (!encoder && name != "llama" && name != "qwen2") {
    fail(file, "key 'general.architecture': " + quote(name) + " is none of llama, qwen2, bert");
  }
  source.metadata.set("attn.architecture", name);
  if (encoder) {
    read_encoder(file, name, source);
  } else {
    read_decoder(file, name, source);
  }
  for (const TensorEntry& entry : file.tensors()) {
    TensorEntry renamed = entry;
    renamed.name = canonical(entry.name, encoder);
    if (renamed.name.empty()) renamed.name = entry.name;
    source.tensors.push_back(std::move(renamed));
  }
  source.tokenizer = tokenizer_from_gguf(file);
  return source;
}

}  // namespace attn::models
