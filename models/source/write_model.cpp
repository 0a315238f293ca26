#include "models/source/write_model.hpp"

#include "models/source/source.hpp"
#include "runtime/formats/json.hpp"
#include "runtime/formats/safetensors_writer.hpp"

namespace attn::models {

void write_model(const std::filesystem::path& path, const Metadata& metadata,
                 std::span<const runtime::TensorEntry> tensors, const TokenizerSpec* tokenizer) {
  using runtime::DType;
  std::map<std::string, std::string> keys = metadata.all();
  keys.erase(quantized_key);
  keys.erase(packed_key);
  runtime::Json described = runtime::Json::object(), packed = runtime::Json::object();
  std::vector<runtime::TensorEntry> entries(tensors.begin(), tensors.end());
  for (runtime::TensorEntry& entry : entries) {
    const bool tiles = entry.layout == runtime::WeightLayout::tiles;
    if (!tiles && runtime::dtype_block(entry.dtype) == 1) continue;
    runtime::Json& about = (tiles ? packed : described)[entry.name];
    about = runtime::Json::object();
    about["type"] = runtime::dtype_name(entry.dtype);
    about["shape"] = entry.shape;
    if (tiles) about["layout"] = runtime::tiles_name;
    entry.dtype = DType::u8;
    entry.shape = {static_cast<std::int64_t>(entry.data.size())};
  }
  if (!described.empty()) keys[quantized_key] = described.dump();
  if (packed.empty()) {
    keys.erase(packed_for_key);
  } else {
    keys[packed_key] = packed.dump();
  }
  std::string text;
  if (tokenizer != nullptr) {
    text = to_json(*tokenizer);
    constexpr std::size_t alignment = 64;  // what stands behind begins at a multiple of it
    text.resize((text.size() + alignment - 1) / alignment * alignment, ' ');
    entries.push_back({tokenizer_tensor,
                       DType::u8,
                       {static_cast<std::int64_t>(text.size())},
                       std::as_bytes(std::span(text))});
  }
  runtime::write_safetensors(path, keys, entries);
}

}  // namespace attn::models
