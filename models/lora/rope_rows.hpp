#pragma once

// Where rotary embedding turns neighbours (GGUF files of the llama architecture), the rows of
// projections to queries and keys stand in another order than in Hugging Face's files, in which
// PEFT's adapters are.

#include "models/architecture.hpp"
#include "models/lora/adapter_files.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace attn::models {

/// Rows [heads · head_dim, width] in Hugging Face's order, where row i of a head turns with row
/// i + head_dim / 2, in that of neighbours, where rows 2 i and 2 i + 1 turn; and back. head_dim is
/// even, and `rows` as long as heads, head_dim and width say.
[[nodiscard]] std::vector<float> neighbours_from_halves(std::span<const float> rows,
                                                        std::int64_t head_dim, std::int64_t width);
[[nodiscard]] std::vector<float> halves_from_neighbours(std::span<const float> rows,
                                                        std::int64_t head_dim, std::int64_t width);

/// Puts the rows of an adapter's B as this model has those of its projections, and back as PEFT
/// has them. They change where the model's attn.rope_layout is interleaved, for q_proj and k_proj;
/// shapes fit (see apply.hpp). Throws what decoder_config() throws.
void to_model_order(AdapterFile& adapter, const Metadata& metadata,
                    std::span<const WeightSpec> specs);
void to_file_order(AdapterFile& adapter, const Metadata& metadata,
                   std::span<const WeightSpec> specs);

}  // namespace attn::models
