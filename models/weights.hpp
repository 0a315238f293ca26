#pragma once

#include "models/architecture.hpp"
#include "models/source/source.hpp"
#include "runtime/session.hpp"

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace attn::models {

/// The tensors of a model by name: views of a mapped file, or memory of their own.
class Weights {
 public:
  struct Tensor {
    Dims shape;
    runtime::DType dtype = runtime::DType::f32;
    runtime::WeightLayout layout = runtime::WeightLayout::rows;
    void* data = nullptr;  ///< into the mapping (never written then) or into `own`
    std::vector<float> own;
    [[nodiscard]] std::size_t bytes() const;
    [[nodiscard]] std::size_t elements() const;
  };

  Weights() = default;
  Weights(const Weights&) = delete;  ///< its tensors would point into the other's memory
  Weights& operator=(const Weights&) = delete;
  Weights(Weights&&) = default;
  Weights& operator=(Weights&&) = default;

  /// Takes the tensors that the specs name, in the type that they ask for, and keeps the file open.
  /// Throws Error(invalid) naming a tensor that is missing, of another shape or type, or, in a file
  /// that is not foreign, not part of the architecture.
  static Weights from_source(const Source& source, std::span<const WeightSpec> specs);

  /// New tensors, random by the seed in the order of the specs.
  static Weights random(std::span<const WeightSpec> specs, std::uint64_t seed);

  /// Adds an F32 tensor with memory of its own; `values` are as many as the shape says. There is
  /// none of that name yet.
  void add(const std::string& name, Dims shape, std::vector<float> values);

  /// A copy in memory of its own, which training may write.
  [[nodiscard]] Weights writable_copy() const;

  [[nodiscard]] const std::map<std::string, Tensor, std::less<>>& all() const noexcept {
    return tensors_;
  }
  /// The tensor of that name as F32, row by row.
  [[nodiscard]] std::vector<float> expanded(std::string_view name) const;
  [[nodiscard]] std::size_t elements() const;
  [[nodiscard]] std::size_t bytes() const;
  /// Names the tensors that stand in a mapped file.
  void tell_mapped(runtime::Packs& packs) const;
  /// What a session on `graph` needs to find its weights.
  [[nodiscard]] std::vector<runtime::Binding> bindings(const runtime::Graph& graph) const;

 private:
  std::map<std::string, Tensor, std::less<>> tensors_;
  std::shared_ptr<const void> file_;
  bool mapped_ = false;
};

}  // namespace attn::models
