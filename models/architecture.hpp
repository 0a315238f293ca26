#pragma once

#include "models/metadata.hpp"
#include "runtime/graph.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace attn::models {

using Dims = std::vector<std::int64_t>;

/// How a new model's tensor begins.
enum class Initial {
  uniform,  ///< in ±1/√fan_in, as PyTorch's Linear
  normal,   ///< N(0, 1), as PyTorch's Embedding
};

/// In which type a tensor is held.
enum class Storage {
  f32,       ///< it has to be F32
  expanded,  ///< any type that weights have, expanded to F32 when it is loaded
  stored,    ///< any type that weights have, as it stands in the file
};

/// What a low-rank factor is for: y = x Wᵀ + scale · dropout(x) Aᵀ Bᵀ.
struct LoraFactor {
  double scale = 1;
  double dropout = 0;      ///< while training
  std::uint64_t seed = 0;  ///< of the dropout
};

/// A tensor that an architecture has.
struct WeightSpec {
  std::string name;
  Dims shape;
  Initial initial = Initial::uniform;
  std::int64_t fan_in = 1;  ///< for Initial::uniform
  Storage storage = Storage::f32;
  runtime::DType dtype = runtime::DType::f32;  ///< as the weights of a file have it, for `stored`
  runtime::WeightLayout layout = runtime::WeightLayout::rows;  ///< likewise
  std::optional<LoraFactor> lora =
      std::nullopt;  ///< of an adapter (models/lora/), not of the model
};

/// The shapes of the tensors that a file brings, by name.
using Shapes = std::map<std::string, Dims, std::less<>>;

/// A new model as its parameters describe it.
struct Created {
  Metadata metadata;
  std::vector<WeightSpec> weights;
};

/// What an architecture is for.
enum class Purpose {
  tensors,   ///< a teaching model: tensors in, tensors out
  language,  ///< tokens in, logits of the next out: see models/language/decoder.hpp
  encoder,   ///< tokens in, a state of each out: see models/language/encoder.hpp
};

/// An architecture: a row of the registry, a file of its own.
struct Architecture {
  std::string_view name;

  /// The tensors that a model with this metadata has, sizes that only a tensor knows taken from
  /// `have`. Throws Error(invalid) naming the key or tensor; that every tensor is there with that
  /// shape is checked by the caller.
  std::vector<WeightSpec> (*weights)(const Metadata&, const Shapes& have) = nullptr;

  /// A new model; Error(usage) for a parameter that is unknown, missing or out of range. Null:
  /// there is no making one.
  Created (*create)(const Metadata& parameters) = nullptr;

  /// Adds inputs, weights, nodes and outputs to the graph. `batched`: the inputs have a batch in
  /// front.
  void (*build)(runtime::Graph&, const Metadata&, std::span<const WeightSpec>,
                bool batched) = nullptr;

  /// May inputs come with a batch in front?
  bool batches = false;

  Purpose purpose = Purpose::tensors;
};

/// Every architecture there is.
[[nodiscard]] std::span<const Architecture* const> architectures() noexcept;

/// The one of that name; an error that lists them if there is none: Error(invalid) for the name of
/// a file, Error(usage) for a caller's.
[[nodiscard]] const Architecture& find_architecture(std::string_view name, bool from_file);

/// The shape of a tensor that has to be there, with that many dimensions, all at least 1;
/// Error(invalid) naming it otherwise.
[[nodiscard]] const Dims& required_shape(const Shapes& have, std::string_view name,
                                         std::size_t rank);

/// Throws Error(usage) for a parameter of create() that is not among `known`.
void refuse_unknown(const Metadata& parameters, std::span<const std::string_view> known);

/// A whole-number parameter of create() from `low` to a million; Error(usage) otherwise.
[[nodiscard]] std::int64_t size_parameter(const Metadata& parameters, std::string_view key,
                                          std::int64_t low = 1);

/// Takes attn.scale over into a new model's metadata, if the parameters have it; Error(usage) if it
/// is no number.
void take_scale(const Metadata& parameters, Metadata& metadata);

/// The one of that name; null if there is none.
[[nodiscard]] const WeightSpec* find_spec(std::span<const WeightSpec> specs,
                                          std::string_view name) noexcept;

/// The shapes of specs, as a file that has them would bring them.
[[nodiscard]] Shapes shapes_of(std::span<const WeightSpec> specs);

/// Declares the weight `name` in the graph with its shape from the specs.
runtime::ValueId declare(runtime::Graph& graph, std::span<const WeightSpec> specs,
                         std::string_view name);

/// A tensor of a file that stays in its stored type, and one that is expanded to F32.
[[nodiscard]] WeightSpec stored_weight(std::string name, Dims shape);
[[nodiscard]] WeightSpec expanded_weight(std::string name, Dims shape);

/// A projection of d to d without a bias, as all teaching architectures have them.
[[nodiscard]] WeightSpec square_projection(std::string name, std::int64_t d);

}  // namespace attn::models
