#pragma once

#include <filesystem>

namespace attn::bench {

/// Asks the kernel to forget what it holds of a file, or of the files of a folder, so that they are
/// read from the disk again. False if most of it stays: another process has it mapped, or the file
/// system keeps its files in memory. Throws Error(io) if they cannot be opened.
[[nodiscard]] bool drop_from_page_cache(const std::filesystem::path& path);

}  // namespace attn::bench
