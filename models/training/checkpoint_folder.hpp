#pragma once

#include "runtime/formats/descriptor.hpp"

#include <cstdint>
#include <filesystem>
#include <vector>

namespace attn::models {

/// The folder of a run's checkpoints, "step-00000100.safetensors" and so on, locked while this
/// lives. Throws Error(io) naming the folder.
class CheckpointFolder {
 public:
  /// Makes it where it is missing, locks it (an Error(io) if somebody else has), and removes what
  /// killed writers left behind.
  explicit CheckpointFolder(std::filesystem::path folder);

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return folder_; }

  struct Checkpoint {
    std::int64_t step = 0;
    std::filesystem::path file;
  };
  /// Those that are there, the newest first.
  [[nodiscard]] std::vector<Checkpoint> checkpoints() const;

  [[nodiscard]] std::filesystem::path file_of(std::int64_t step) const;

  /// Removes all but `newest` and those before it that make up `count` with it: what has more
  /// updates is of an earlier run.
  void keep(std::size_t count, const std::filesystem::path& newest) const;

 private:
  std::filesystem::path folder_;
  runtime::Descriptor lock_;
};

}  // namespace attn::models
