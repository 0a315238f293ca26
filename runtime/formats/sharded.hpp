#pragma once

#include "runtime/formats/safetensors.hpp"

#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace attn::runtime {

/// The safetensors of a folder: model.safetensors, or the shards that model.safetensors.index.json
/// names (its "weight_map": tensor → file). Views of the mapped files, which live as long as any
/// copy. Immutable after opening.
class Sharded {
 public:
  /// Throws Error(io) if there is neither, Error(invalid) for a container that is none, and for an
  /// index whose shards are not plain file names of this folder (a path, a link that leads out of
  /// it), or do not hold the tensors that it says, each once.
  static Sharded open(const std::filesystem::path& folder);

  [[nodiscard]] std::span<const TensorEntry> tensors() const noexcept { return tensors_; }
  /// As Safetensors::verify().
  void verify() const;

 private:
  std::vector<Safetensors> files_;
  std::vector<TensorEntry> tensors_;
};

}  // namespace attn::runtime
