#include "models/architecture.hpp"

#include "attn/error.hpp"
#include "models/architectures.hpp"
#include "runtime/formats/text.hpp"

#include <algorithm>
#include <array>

namespace attn::models {

std::span<const Architecture* const> architectures() noexcept {
  static constexpr std::array table{&attention_mechanism,
                                    &self_attention,
                                    &multi_head_attention,
                                    &size_loss_attention,
                                    &llama,
                                    &qwen2,
                                    &bert};
  return table;
}

const Architecture& find_architecture(std::string_view name, bool from_file) {
  std::string known;
  for (const Architecture* architecture : architectures()) {
    if (architecture->name == name) return *architecture;
    known += (known.empty() ? "" : ", ") + std::string(architecture->name);
  }
  throw Error(from_file ? ErrorKind::invalid : ErrorKind::usage,
              (from_file ? "metadata 'attn.architecture' is " : "unknown architecture ") +
                  runtime::quote(name) + (from_file ? ", which is none of " : "; there are ") +
                  known);
}

const Dims& required_shape(const Shapes& have, std::string_view name, std::size_t rank) {
  const auto found = have.find(name);
  if (found == have.end()) {
    throw Error(ErrorKind::invalid, "tensor '" + std::string(name) + "' is missing");
  }
  const Dims& shape = found->second;
  if (shape.size() != rank ||
      std::any_of(shape.begin(), shape.end(), [](auto d) { return d < 1; })) {
    throw Error(ErrorKind::invalid, "tensor '" + std::string(name) + "' has shape " +
                                        runtime::shape_text(shape) + ", but needs " +
                                        std::to_string(rank) + " dimensions of at least 1");
  }
  return shape;
}

void refuse_unknown(const Metadata& parameters, std::span<const std::string_view> known) {
  for (const auto& [key, value] : parameters.all()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      throw Error(ErrorKind::usage, "unknown parameter " + runtime::quote(key));
    }
  }
}

std::int64_t size_parameter(const Metadata& parameters, std::string_view key, std::int64_t low) {
  constexpr std::int64_t limit = 1 << 20;  // a million: far above any model's width
  return parameters.integer(key, low, limit);
}

void take_scale(const Metadata& parameters, Metadata& metadata) {
  if (parameters.scale()) metadata.set("attn.scale", parameters.text("attn.scale"));
}

Shapes shapes_of(std::span<const WeightSpec> specs) {
  Shapes shapes;
  for (const WeightSpec& spec : specs) shapes[spec.name] = spec.shape;
  return shapes;
}

const WeightSpec* find_spec(std::span<const WeightSpec> specs, std::string_view name) noexcept {
  const auto found = std::find_if(specs.begin(), specs.end(),
                                  [&](const WeightSpec& each) { return each.name == name; });
  return found == specs.end() ? nullptr : &*found;
}

runtime::ValueId declare(runtime::Graph& graph, std::span<const WeightSpec> specs,
                         std::string_view name) {
  const WeightSpec* const spec = find_spec(specs, name);
  if (spec == nullptr) {
    throw Error(ErrorKind::invalid, "tensor '" + std::string(name) + "' is missing");
  }
  const std::vector<runtime::Dim> dims(spec->shape.begin(), spec->shape.end());
  return graph.weight(spec->name, spec->dtype, runtime::Shape(dims), spec->layout);
}

namespace {

WeightSpec weight_in(std::string name, Dims shape, Storage storage) {
  WeightSpec spec;
  spec.name = std::move(name);
  spec.shape = std::move(shape);
  spec.storage = storage;
  return spec;
}

}  // namespace

WeightSpec stored_weight(std::string name, Dims shape) {
  return weight_in(std::move(name), std::move(shape), Storage::stored);
}

WeightSpec expanded_weight(std::string name, Dims shape) {
  return weight_in(std::move(name), std::move(shape), Storage::expanded);
}

WeightSpec square_projection(std::string name, std::int64_t d) {
  return {std::move(name), {d, d}, Initial::uniform, d};
}

}  // namespace attn::models
