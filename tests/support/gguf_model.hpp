#pragma once

#include "models/source/source.hpp"
#include "support/gguf.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace attn::test {

/// A llama in the Hugging Face layout, all F32, as a GGUF file: the same weights under GGUF's
/// names, the rows of q and k in the order of neighbours, as llama.cpp's converter has them
/// (reshape(heads, 2, head_dim / 2, in).swapaxes(1, 2)).
inline std::string gguf_of_llama(const models::Source& source) {
  const auto number = [&](const char* key) {
    return static_cast<std::uint32_t>(std::stoul(source.metadata.text(key)));
  };
  const auto named = [](std::string name) {
    constexpr std::pair<std::string_view, std::string_view> parts[] = {
        {"model.layers.", "blk."},
        {"model.embed_tokens.", "token_embd."},
        {"model.norm.", "output_norm."},
        {"lm_head.", "output."},
        {"post_attention_layernorm", "ffn_norm"},
        {"input_layernorm", "attn_norm"},
        {"self_attn.o_proj", "attn_output"},
        {"self_attn.q_proj", "attn_q"},
        {"self_attn.k_proj", "attn_k"},
        {"self_attn.v_proj", "attn_v"},
        {"mlp.gate_proj", "ffn_gate"},
        {"mlp.up_proj", "ffn_up"},
        {"mlp.down_proj", "ffn_down"}};
    for (const auto& [from, to] : parts) {
      if (const std::size_t at = name.find(from); at != std::string::npos) {
        name.replace(at, from.size(), to);
      }
    }
    return name;
  };
  GgufBytes file;
  file.header(source.tensors.size(), 9);
  file.key("general.architecture", gguf_string).text("llama");
  file.key("llama.embedding_length", gguf_u32).u32(number("attn.hidden_size"));
  file.key("llama.feed_forward_length", gguf_u32).u32(number("attn.intermediate_size"));
  file.key("llama.block_count", gguf_u32).u32(number("attn.num_hidden_layers"));
  file.key("llama.attention.head_count", gguf_u32).u32(number("attn.num_attention_heads"));
  file.key("llama.attention.head_count_kv", gguf_u32).u32(number("attn.num_key_value_heads"));
  file.key("llama.context_length", gguf_u32).u32(number("attn.max_position_embeddings"));
  file.key("llama.rope.freq_base", gguf_f32)
      .add(std::stof(source.metadata.text("attn.rope_theta")));
  file.key("llama.attention.layer_norm_rms_epsilon", gguf_f32)
      .add(std::stof(source.metadata.text("attn.rms_norm_eps")));
  constexpr std::size_t alignment = 32;
  std::uint64_t offset = 0;
  for (const runtime::TensorEntry& entry : source.tensors) {
    const std::vector<std::uint64_t> dims(entry.shape.rbegin(), entry.shape.rend());
    file.tensor(named(entry.name), dims, 0, offset);
    offset += (entry.data.size() + alignment - 1) / alignment * alignment;
  }
  file.pad(alignment);
  for (const runtime::TensorEntry& entry : source.tensors) {
    const std::string bytes(reinterpret_cast<const char*>(entry.data.data()), entry.data.size());
    const bool q = entry.name.find("q_proj") != std::string::npos;
    if (!q && entry.name.find("k_proj") == std::string::npos) {
      for (const char byte : bytes) file.add(byte);
      file.pad(alignment);
      continue;
    }
    const std::size_t heads = number(q ? "attn.num_attention_heads" : "attn.num_key_value_heads");
    const std::size_t rows = static_cast<std::size_t>(entry.shape[0]), width = bytes.size() / rows;
    const std::size_t half = rows / heads / 2;
    for (std::size_t h = 0; h < heads; ++h) {
      for (std::size_t i = 0; i < half; ++i) {
        for (std::size_t part = 0; part < 2; ++part) {
          const std::size_t row = (h * 2 + part) * half + i;
          for (const char byte : bytes.substr(row * width, width)) file.add(byte);
        }
      }
    }
    file.pad(alignment);
  }
  return file.bytes();
}

}  // namespace attn::test
