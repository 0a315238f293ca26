#pragma once

#include "models/architecture.hpp"
#include "models/lora/adapter_files.hpp"
#include "models/weights.hpp"
#include "runtime/dtype.hpp"
#include "runtime/memory.hpp"
#include "runtime/session.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace attn::models {

/// Numbers that are zero at first, and cost no memory of the system before they are written.
class Numbers {
 public:
  Numbers() = default;
  /// An allocator of null is the system. Throws Error(memory).
  Numbers(std::size_t bytes, std::shared_ptr<const runtime::Allocator> allocator);
  [[nodiscard]] std::byte* data() const noexcept { return memory_.data(); }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  void clear() noexcept;

 private:
  runtime::Memory memory_;
  std::size_t bytes_ = 0;
};

/// A tensor that is trained, with Adam's moments of it.
struct Parameter {
  std::string name;
  Dims shape;
  std::size_t elements = 0;
  Numbers value, m, v;
  Numbers gradient;  ///< where gradients are held from batch to update
};

/// What a tuner trains, and the specs of the model that has it: for LoRA two factors beside each
/// chosen projection, for full tuning every tensor.
class Parameters {
 public:
  /// Names and sizes, with memory that nothing was written to yet. adapter: in the model's order of
  /// rows; none: every weight is trained. dropout: while training, by the seed. number: F32, or F64
  /// for the truth, in which everything then is. allocator: null is the system. Throws
  /// Error(memory).
  Parameters(std::span<const WeightSpec> model, std::optional<AdapterFile> adapter, double dropout,
             std::uint64_t seed, bool hold_gradients, runtime::DType number,
             std::shared_ptr<const runtime::Allocator> allocator);

  /// Values: those of the adapter, or copies of the model's weights.
  void fill(const Weights& weights);

  /// The adapter with its present values. There has to be one.
  [[nodiscard]] AdapterFile adapter() const;

  /// The model's specs with those of the trained tensors: in their place, or after them.
  [[nodiscard]] const std::vector<WeightSpec>& specs() const noexcept { return specs_; }
  [[nodiscard]] std::span<Parameter> all() noexcept { return all_; }
  [[nodiscard]] std::span<const Parameter> all() const noexcept { return all_; }
  [[nodiscard]] const Parameter* find(std::string_view name) const noexcept;
  [[nodiscard]] runtime::DType number() const noexcept { return number_; }

  /// The values, moments and gradients, and the weights that stay, that this graph has.
  [[nodiscard]] std::vector<runtime::Binding> bindings(const runtime::Graph& graph,
                                                       const Weights& weights) const;

  /// The first that has a value which is not finite; null: none has.
  [[nodiscard]] const Parameter* not_finite() const noexcept;

  /// What was to be written of them. Throws Error(numerical), naming it and the parameter, unless
  /// every value is finite.
  void require_finite(const std::filesystem::path& target) const;

  /// Elements of everything that is trained.
  [[nodiscard]] std::size_t elements() const;

 private:
  void add(const WeightSpec& spec);
  void add_factors(double dropout, std::uint64_t seed);
  [[nodiscard]] Numbers zeros(std::size_t elements) const;

  runtime::DType number_;
  bool hold_;
  std::shared_ptr<const runtime::Allocator> allocator_;
  std::optional<AdapterFile> adapter_;  // as it began
  std::vector<WeightSpec> specs_;
  std::vector<Parameter> all_;  // of an adapter: A and B of its modules in turn
  std::vector<std::pair<std::string, Numbers>> expanded_;  // F64 copies of weights that stay
};

/// The names that the states of a parameter have in a graph.
[[nodiscard]] std::string gradient_state(const std::string& parameter);

}  // namespace attn::models
