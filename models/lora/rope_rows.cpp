#include "models/lora/rope_rows.hpp"

#include "models/transformer_config.hpp"

#include <algorithm>

namespace attn::models {
namespace {

enum class Towards { neighbours, halves };

std::vector<float> reordered(std::span<const float> rows, std::int64_t head_dim, std::int64_t width,
                             Towards towards) {
  std::vector<float> result(rows.size());
  const std::int64_t half = head_dim / 2;
  const std::int64_t count = std::ssize(rows) / width;
  for (std::int64_t row = 0; row < count; ++row) {
    const std::int64_t head = row / head_dim * head_dim, i = row % head_dim;
    const std::int64_t neighbour = head + i % half * 2 + i / half;
    const std::int64_t from = towards == Towards::neighbours ? row : neighbour;
    const std::int64_t to = towards == Towards::neighbours ? neighbour : row;
    std::copy_n(rows.begin() + from * width, width, result.begin() + to * width);
  }
  return result;
}

void reorder(AdapterFile& adapter, const Metadata& metadata, std::span<const WeightSpec> specs,
             Towards towards) {
  if (!metadata.has("attn.rope_layout")) return;  // an encoder
  const DecoderConfig config = decoder_config(metadata, shapes_of(specs));
  if (config.rope_layout == kernels::RopeLayout::half) return;
  for (AdapterModule& module : adapter.modules) {
    if (!module.name.ends_with(".q_proj") && !module.name.ends_with(".k_proj")) continue;
    module.b = reordered(module.b, config.head_dim, module.rank, towards);
  }
}

}  // namespace

std::vector<float> neighbours_from_halves(std::span<const float> rows, std::int64_t head_dim,
                                          std::int64_t width) {
  return reordered(rows, head_dim, width, Towards::neighbours);
}

std::vector<float> halves_from_neighbours(std::span<const float> rows, std::int64_t head_dim,
                                          std::int64_t width) {
  return reordered(rows, head_dim, width, Towards::halves);
}

void to_model_order(AdapterFile& adapter, const Metadata& metadata,
                    std::span<const WeightSpec> specs) {
  reorder(adapter, metadata, specs, Towards::neighbours);
}

void to_file_order(AdapterFile& adapter, const Metadata& metadata,
                   std::span<const WeightSpec> specs) {
  reorder(adapter, metadata, specs, Towards::halves);
}

}  // namespace attn::models
