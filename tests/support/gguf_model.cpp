#include "support/gguf_model.hpp"

#include "runtime/stored.hpp"
#include "support/gguf.hpp"
#include "support/numbers.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace attn::test {

using models::AddedToken;
using models::TokenizerModel;
using models::TokenizerSpec;
using runtime::DType;

namespace {

// GGUF's name of a tensor: of the whole model, or of a layer.
std::string gguf_name(std::string name, bool encoder) {
  using Pair = std::pair<std::string_view, std::string_view>;
  constexpr std::array<Pair, 12> decoder_parts{{{"model.layers.", "blk."},
                                                {"model.embed_tokens.", "token_embd."},
                                                {"model.norm.", "output_norm."},
                                                {"post_attention_layernorm", "ffn_norm"},
                                                {"input_layernorm", "attn_norm"},
                                                {"self_attn.o_proj", "attn_output"},
                                                {"self_attn.q_proj", "attn_q"},
                                                {"self_attn.k_proj", "attn_k"},
                                                {"self_attn.v_proj", "attn_v"},
                                                {"mlp.gate_proj", "ffn_gate"},
                                                {"mlp.up_proj", "ffn_up"},
                                                {"mlp.down_proj", "ffn_down"}}};
  constexpr std::array<Pair, 13> encoder_parts{
      {{"encoder.layer.", "blk."},
       {"embeddings.word_embeddings.", "token_embd."},
       {"embeddings.position_embeddings.", "position_embd."},
       {"embeddings.token_type_embeddings.", "token_types."},
       {"embeddings.LayerNorm.", "token_embd_norm."},
       {"attention.self.query", "attn_q"},
       {"attention.self.key", "attn_k"},
       {"attention.self.value", "attn_v"},
       {"attention.output.dense", "attn_output"},
       {"attention.output.LayerNorm", "attn_output_norm"},
       {"intermediate.dense", "ffn_up"},
       {"output.dense", "ffn_down"},
       {"output.LayerNorm", "layer_output_norm"}}};
  const auto rename = [&](const auto& parts) {
    for (const auto& [from, to] : parts) {
      if (const std::size_t at = name.find(from); at != std::string::npos) {
        name.replace(at, from.size(), to);
      }
    }
    return name;
  };
  return encoder ? rename(encoder_parts) : rename(decoder_parts);
}

struct GgufKeys {
  GgufBytes bytes;
  std::uint64_t count = 0;

  GgufBytes& add(const std::string& key, std::uint32_t type) {
    ++count;
    return bytes.key(key, type);
  }
  void number(const std::string& key, const models::Metadata& from, const char* ours) {
    if (from.has(ours)) {
      add(key, gguf_u32).u32(static_cast<std::uint32_t>(from.integer(ours, 0, 1 << 20)));
    }
  }
  void real(const std::string& key, const models::Metadata& from, const char* ours) {
    if (from.has(ours)) add(key, gguf_f32).add(static_cast<float>(from.number(ours, 0, 1e9)));
  }
  void texts(const std::string& key, const std::vector<std::string>& all) {
    add(key, gguf_array).u32(gguf_string).u64(all.size());
    for (const std::string& text : all) bytes.text(text);
  }
};

void add_tokenizer(GgufKeys& keys, const TokenizerSpec& spec) {
  const bool wordpiece = spec.model == TokenizerModel::wordpiece;
  keys.add("tokenizer.ggml.model", gguf_string).text(wordpiece ? "bert" : "gpt2");
  std::vector<std::string> pieces = spec.pieces;
  std::vector<std::int32_t> types(pieces.size(), 1);
  for (const AddedToken& token : spec.added) types[static_cast<std::size_t>(token.id)] = 3;
  for (std::size_t i = 0; wordpiece && i < pieces.size(); ++i) {
    if (types[i] != 1) continue;
    const bool continues = pieces[i].starts_with("##");
    pieces[i] = continues ? pieces[i].substr(2) : "\u2581" + pieces[i];
  }
  keys.texts("tokenizer.ggml.tokens", pieces);
  keys.add("tokenizer.ggml.token_type", gguf_array).u32(gguf_i32).u64(types.size());
  for (const std::int32_t type : types) keys.bytes.add(type);
  if (wordpiece) {
    keys.add("tokenizer.ggml.unknown_token_id", gguf_u32).u32(1);
    keys.add("tokenizer.ggml.bos_token_id", gguf_u32).u32(2);
    keys.add("tokenizer.ggml.seperator_token_id", gguf_u32).u32(3);
    return;
  }
  keys.add("tokenizer.ggml.pre", gguf_string).text("gpt-2");
  std::vector<std::string> merges;
  for (const auto& [left, right] : spec.merges) {
    merges.push_back(spec.pieces[static_cast<std::size_t>(left)] + " " +
                     spec.pieces[static_cast<std::size_t>(right)]);
  }
  keys.texts("tokenizer.ggml.merges", merges);
  keys.add("tokenizer.ggml.bos_token_id", gguf_u32).u32(1);
  keys.add("tokenizer.ggml.eos_token_id", gguf_u32).u32(2);
  keys.add("tokenizer.chat_template", gguf_string).text(spec.chat_template);
}

constexpr std::pair<DType, std::uint32_t> gguf_types[] = {
    {DType::f32, 0}, {DType::f16, 1}, {DType::q4_0, 2}, {DType::q8_0, 8}, {DType::bf16, 30}};

std::vector<std::byte> bytes_in(DType type, const std::vector<float>& values) {
  const auto stored = *runtime::weight_type(type);
  const auto count = static_cast<std::int64_t>(values.size());
  std::vector<std::byte> bytes(runtime::dtype_bytes(type, count));
  kernels::quantize(stored, count, values.data(), bytes.data());
  return bytes;
}

}  // namespace

std::string gguf_file(const SmallModel& model, DType type, bool text) {
  const models::Metadata& from = model.metadata;
  const std::string& architecture = from.text("attn.architecture");
  const std::string prefix = architecture + ".";
  GgufKeys keys;
  keys.add("general.architecture", gguf_string).text(architecture);
  keys.number(prefix + "embedding_length", from, "attn.hidden_size");
  keys.number(prefix + "feed_forward_length", from, "attn.intermediate_size");
  keys.number(prefix + "block_count", from, "attn.num_hidden_layers");
  keys.number(prefix + "attention.head_count", from, "attn.num_attention_heads");
  keys.number(prefix + "attention.head_count_kv", from, "attn.num_key_value_heads");
  keys.number(prefix + "context_length", from, "attn.max_position_embeddings");
  keys.real(prefix + "rope.freq_base", from, "attn.rope_theta");
  keys.real(prefix + "attention.layer_norm_rms_epsilon", from, "attn.rms_norm_eps");
  keys.real(prefix + "attention.layer_norm_epsilon", from, "attn.layer_norm_eps");
  if (text) add_tokenizer(keys, model.tokenizer);

  constexpr std::size_t alignment = 32;
  GgufBytes tensors, data;
  for (const SmallModel::Tensor& tensor : model.tensors) {
    const DType stored = tensor.shape.size() == 2 ? type : DType::f32;
    std::uint32_t number = 0;
    for (const auto& [dtype, code] : gguf_types) {
      if (dtype == stored) number = code;
    }
    tensors.tensor(gguf_name(tensor.name, architecture == "bert"),
                   {tensor.shape.rbegin(), tensor.shape.rend()}, number, data.bytes().size());
    for (const std::byte byte : bytes_in(stored, tensor.values)) data.add(byte);
    data.pad(alignment);
  }
  GgufBytes file;
  file.header(model.tensors.size(), keys.count);
  for (const GgufBytes* part : {&keys.bytes, &tensors}) {
    for (const char c : part->bytes()) file.add(c);
  }
  file.pad(alignment);
  return file.bytes() + data.bytes();
}

std::string gguf_of_llama(const models::Source& source) {
  SmallModel model{source.metadata, {}, {}};
  for (const runtime::TensorEntry& entry : source.tensors) {
    std::vector<float> values(entry.data.size() / sizeof(float)), ordered = values;
    std::memcpy(values.data(), entry.data.data(), entry.data.size());
    const bool q = entry.name.find("q_proj") != std::string::npos;
    if (q || entry.name.find("k_proj") != std::string::npos) {
      const auto heads = static_cast<std::size_t>(model.metadata.integer(
          q ? "attn.num_attention_heads" : "attn.num_key_value_heads", 1, 1 << 20));
      const auto rows = static_cast<std::size_t>(entry.shape[0]);
      const std::size_t width = values.size() / rows, half = rows / heads / 2;
      float* to = ordered.data();
      for (std::size_t row = 0; row < rows; ++row, to += width) {
        const std::size_t head = row / (2 * half), i = row % (2 * half) / 2, part = row % 2;
        std::copy_n(values.data() + ((head * 2 + part) * half + i) * width, width, to);
      }
      values = std::move(ordered);
    }
    model.tensors.push_back({entry.name, entry.shape, std::move(values)});
  }
  return gguf_file(model, DType::f32, false);
}

}  // namespace attn::test
