#pragma once

#include "attn/error.hpp"
#include "models/metadata.hpp"
#include "models/text/tokenizer_spec.hpp"
#include "runtime/formats/gguf.hpp"
#include "runtime/formats/safetensors.hpp"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace attn::models {

/// A model as a file or folder brings it, in one language whatever the format: parameters under the
/// keys of docs/model-format.md, tensors under Hugging Face's names, as views of the mapped files.
struct Source {
  std::string name;  ///< path, for messages
  Metadata metadata;
  std::vector<runtime::TensorEntry> tensors;
  std::optional<TokenizerSpec> tokenizer;
  /// The file is not ours: tensors that the architecture does not have are left alone.
  bool foreign = false;
  std::shared_ptr<const void> keep_alive;  ///< the mapped files
  bool mapped = false;                     ///< the tensors are views of mapped files
};

/// Opens a model.bin, a GGUF file or a folder in the Hugging Face layout, told apart by their
/// content. verify: checksums are compared, and NaN and infinite weights refused. Throws Error(io)
/// for what cannot be read, Error(invalid) for what is no such model or asks for what is not done
/// here, naming file, field and value.
[[nodiscard]] Source open_source(const std::filesystem::path& path, bool verify);

/// The same of a file in memory, which outlives the source; `name` stands in messages.
[[nodiscard]] Source source_from_memory(std::span<const std::byte> bytes, const std::string& name,
                                        bool verify);

// One format each.
[[nodiscard]] Source source_of(const runtime::Safetensors& file, bool verify);
[[nodiscard]] Source source_of(const runtime::Gguf& file);
[[nodiscard]] Source source_of_folder(const std::filesystem::path& folder, bool verify);

/// The tensor of a model.bin that holds the tokenizer, the key that describes block formats, the
/// one that describes weights in tiles, and the ISA level that these were packed for.
inline constexpr const char* tokenizer_tensor = "attn.tokenizer";
inline constexpr const char* quantized_key = "attn.quantized";
inline constexpr const char* packed_key = "attn.packed";
inline constexpr const char* packed_for_key = "attn.packed_for";

/// Throws Error(kind), its message beginning with `where`, unless weights are packed for a level of
/// that name.
void check_packed_for(std::string_view isa, ErrorKind kind, const std::string& where);

}  // namespace attn::models
