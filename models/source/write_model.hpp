#pragma once

#include "models/metadata.hpp"
#include "models/text/tokenizer_spec.hpp"
#include "runtime/formats/safetensors.hpp"

#include <filesystem>
#include <span>

namespace attn::models {

/// Writes a model.bin, atomically: block formats and weights in tiles as U8 tensors described
/// in the metadata (which says by attn.packed_for what tiles were made for), the tokenizer (null:
/// none) as a tensor of its own. The tensors may be views of the file that is
/// replaced. Throws as write_safetensors.
void write_model(const std::filesystem::path& path, const Metadata& metadata,
                 std::span<const runtime::TensorEntry> tensors, const TokenizerSpec* tokenizer);

}  // namespace attn::models
