#pragma once

#include "models/architecture.hpp"
#include "runtime/formats/safetensors.hpp"
#include "runtime/session.hpp"

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace attn::models {

/// The tensors of a model, F32, by name: views of a mapped file, or memory of their own.
class Weights {
 public:
  struct Tensor {
    Dims shape;
    float* data = nullptr;  ///< into the mapping (never written then) or into `own`
    std::vector<float> own;
    [[nodiscard]] std::size_t elements() const;
  };

  Weights() = default;
  Weights(const Weights&) = delete;  ///< its tensors would point into the other's memory
  Weights& operator=(const Weights&) = delete;
  Weights(Weights&&) = default;
  Weights& operator=(Weights&&) = default;

  /// Takes the tensors of the file that the specs name. Throws Error(invalid) naming a tensor that
  /// is missing, of another shape or type, or not part of the architecture. Keeps the file open.
  static Weights from_file(const runtime::Safetensors& file, std::span<const WeightSpec> specs);

  /// New tensors, random by the seed in the order of the specs.
  static Weights random(std::span<const WeightSpec> specs, std::uint64_t seed);

  /// A copy in memory of its own, which training may write.
  [[nodiscard]] Weights writable_copy() const;

  [[nodiscard]] const std::map<std::string, Tensor, std::less<>>& all() const noexcept {
    return tensors_;
  }
  [[nodiscard]] std::size_t elements() const;
  /// What a session on `graph` needs to find its weights.
  [[nodiscard]] std::vector<runtime::Binding> bindings(const runtime::Graph& graph) const;

 private:
  std::map<std::string, Tensor, std::less<>> tensors_;
  std::shared_ptr<const runtime::Safetensors> file_;
};

}  // namespace attn::models
