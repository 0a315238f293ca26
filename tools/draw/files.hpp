#pragma once

#include <string>

namespace attn::tools {

/// In lower case, with its dot. Letters of ASCII only: the locale has no say in file names.
[[nodiscard]] std::string extension(const std::string& path);

/// Writes beside the target and renames: a reader sees the old file or the new one, never a half,
/// and a failure leaves nothing behind. Throws Error(io).
void write_file(const std::string& path, const std::string& bytes);

}  // namespace attn::tools
