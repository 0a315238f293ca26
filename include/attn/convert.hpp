#pragma once

// Packing models into one model.bin.

#include "attn/attn.hpp"
#include "attn/text.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace attn {

struct ConvertOptions {
  /// The type that projections and embeddings get: q8_0, q4_0, q4_1, bf16, f16 or f32; empty: as
  /// they are. Norms and biases become or stay f32. Rows that are no whole number of blocks become
  /// f16.
  std::string quantize = {};
  /// avx2, avx512 or amx: 16-bit and quantized weights of projections are written in the tiles that
  /// products read at these levels (the same for all three), which loading then uses where they
  /// stand in the file; empty: in rows.
  std::string pack = {};
  /// Merged into the weights beside which they stand, W + scale · B A, all of them at once. Such a
  /// weight keeps its type where that is F32, F16 or BF16, and becomes Q8_0 where it was another
  /// block format, unless `quantize` says which.
  std::vector<Adapter> adapters = {};
  OnProgress on_progress = nullptr;  ///< bytes of the weights
};

/// What a conversion did.
struct Converted {
  std::string architecture;
  std::int64_t tensors = 0, requantized = 0;
  std::int64_t packed = 0;          ///< tensors written in tiles
  std::int64_t merged = 0;          ///< tensors that adapters changed
  std::vector<std::string> as_f16;  ///< tensors whose rows do not divide into blocks
  std::uint64_t bytes_before = 0, bytes_after = 0;
};

/// Packs a GGUF file, a folder in the Hugging Face layout or a model.bin into one model.bin: the
/// tensors that its architecture has, the tokenizer and the chat template. Without `quantize` every
/// weight that no adapter changes keeps its bits, also those of a packed model.bin that is unpacked
/// or packed again. Written atomically; source and target may be the same file. Throws Error(usage)
/// for an unknown type or level, Error(invalid) for a source that is no model, an adapter that does
/// not fit it, or weights that are not finite where they are quantized or merged, Error(numerical)
/// for weights beyond what the type they are to have holds, Error(io).
ATTN_API Converted convert(const std::filesystem::path& source, const std::filesystem::path& target,
                           const ConvertOptions& options = {});

}  // namespace attn
