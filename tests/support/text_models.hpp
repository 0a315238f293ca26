#pragma once

#include "support/files.hpp"
#include "support/references.hpp"

#include <filesystem>
#include <string>

namespace attn::test {

/// A tiny model of tests/data ("llama", "bert") in a folder together with its tokenizer.
class TextModelFolder {
 public:
  explicit TextModelFolder(const std::string& name) {
    for (const std::filesystem::path& from :
         {data_path("tiny-" + name), data_path("tiny-text/" + name)}) {
      for (const auto& file : std::filesystem::directory_iterator(from)) {
        if (!file.is_regular_file()) continue;  // adapters beside it
        std::filesystem::copy_file(file.path(), folder_ / file.path().filename().string());
      }
    }
  }
  [[nodiscard]] const std::filesystem::path& path() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
};

}  // namespace attn::test
