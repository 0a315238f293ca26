#pragma once

#include "attn/attn.hpp"
#include "models/architecture.hpp"
#include "models/lora/adapter_files.hpp"
#include "models/weights.hpp"

#include <span>
#include <string>
#include <vector>

namespace attn::models {

/// The projections that adapters can stand beside: the layers' weights W [out, in], without
/// ".weight", in the order of the specs. Embeddings and heads are none.
[[nodiscard]] std::vector<std::string> adaptable_modules(std::span<const WeightSpec> specs);

/// An adapter in the order of rows that the model has, and what B A is multiplied with beside the
/// adapter's own scale.
struct LoadedAdapter {
  AdapterFile file;
  double scale = 1;
};

/// Reads them and makes sure that they fit the model. Throws what read_adapter() throws,
/// Error(invalid), naming the adapter, for a module that the model does not have or that is an
/// embedding or head, and for factors that are not of its W's shape, Error(usage) for a scale that
/// is no finite number or a model that adapters are not for.
[[nodiscard]] std::vector<LoadedAdapter> load_adapters(std::span<const Adapter> adapters,
                                                       const Architecture& architecture,
                                                       const Metadata& metadata,
                                                       std::span<const WeightSpec> specs);

/// Adds an adapter's factors to the specs and weights of the model, behind those there are.
void add_adapter(LoadedAdapter adapter, std::vector<WeightSpec>& specs, Weights& weights);

}  // namespace attn::models
