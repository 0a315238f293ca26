#pragma once

#include "models/metadata.hpp"
#include "models/text/tokenizer_spec.hpp"
#include "runtime/dtype.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace attn::test {

/// A model of one layer and a few kilobytes, made here, so that every bit of its file can be tried:
/// random weights, and a tokenizer that knows lower-case letters.
struct SmallModel {
  struct Tensor {
    std::string name;  ///< Hugging Face's
    std::vector<std::int64_t> shape;
    std::vector<float> values;
  };
  models::Metadata metadata;
  std::vector<Tensor> tensors;
  models::TokenizerSpec tokenizer;
};

/// Of "llama", "qwen2" or "bert". A width of 32 or more can be stored in blocks.
[[nodiscard]] SmallModel small_model(const std::string& architecture, int width = 8);

// The model as one format each; as GGUF in support/gguf_model.hpp.
[[nodiscard]] std::string model_bin(const SmallModel& model);
[[nodiscard]] std::string safetensors_file(const SmallModel& model);
[[nodiscard]] std::string config_json(const SmallModel& model);
[[nodiscard]] std::string tokenizer_json(const models::TokenizerSpec& spec);

/// A tokenizer of bytes that has every byte, so that all that goes in comes out; with special
/// tokens, a chat template, and added tokens of every kind.
[[nodiscard]] models::TokenizerSpec byte_tokenizer();

/// BERT's kind: letters, some words, punctuation.
[[nodiscard]] models::TokenizerSpec wordpiece_tokenizer();

}  // namespace attn::test
