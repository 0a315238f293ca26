#pragma once

#include "runtime/formats/atomic_file.hpp"
#include "runtime/formats/safetensors.hpp"

#include <filesystem>
#include <map>
#include <span>
#include <string>

namespace attn::runtime {

/// Writes a safetensors container with this metadata and these tensors, atomically (see
/// AtomicFile): on any failure the old file is intact. The tensors may be views of the very file
/// that is replaced.
///
/// attn.version and attn.checksum are added, and replaced if `metadata` has them. The header is
/// padded with blanks so that data begins at a multiple of 64. As the format allows no gaps,
/// tensors whose size is a multiple of 64 come first, then those of a multiple of 32, and so on,
/// else in the given order: so each begins at a multiple of the largest power of two up to 64 that
/// divides its size.
///
/// Throws Error(invalid) before anything is written for an empty or repeated name, text that is not
/// UTF-8, more than 8 dimensions, or data not as long as shape and type say; Error(io) if the file
/// cannot be written.
void write_safetensors(const std::filesystem::path& path,
                       const std::map<std::string, std::string>& metadata,
                       std::span<const TensorEntry> tensors);

/// The same bytes into a file that is not put in place yet; errors call it `path`.
void append_safetensors(AtomicFile& file, const std::filesystem::path& path,
                        const std::map<std::string, std::string>& metadata,
                        std::span<const TensorEntry> tensors);

}  // namespace attn::runtime
