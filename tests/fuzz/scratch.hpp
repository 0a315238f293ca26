#pragma once

#include "support/files.hpp"

#include <string>
#include <string_view>

namespace attn::fuzz {

/// The folder for files that are read by name, one for the whole process; TMPDIR says where, and
/// memory is the place for it.
inline const test::TemporaryFolder& scratch() {
  static const test::TemporaryFolder folder;
  return folder;
}

/// A file of it, written anew.
inline std::filesystem::path scratch_file(std::string_view name, std::string_view content) {
  const auto path = scratch() / name;
  test::write_file(path, content);
  return path;
}

}  // namespace attn::fuzz
