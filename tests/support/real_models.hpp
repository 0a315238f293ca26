#pragma once

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

namespace attn::test {

/// The real model of that name ("all-minilm-l6-v2") in the folder that ATTN_MODELS names, else in
/// ~/.cache/attn/models, where `tools/dev models` puts it; none where it is absent.
[[nodiscard]] inline std::optional<std::filesystem::path> real_model(const std::string& name) {
  std::filesystem::path folder;
  if (const char* const set = std::getenv("ATTN_MODELS")) {
    folder = set;
  } else if (const char* const home = std::getenv("HOME")) {
    folder = std::filesystem::path(home) / ".cache/attn/models";
  }
  std::error_code error;
  if (folder.empty() || !std::filesystem::exists(folder / name, error)) return std::nullopt;
  return folder / name;
}

}  // namespace attn::test
