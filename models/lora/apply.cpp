#include "models/lora/apply.hpp"

#include "attn/error.hpp"
#include "models/lora/adapted.hpp"
#include "models/lora/rope_rows.hpp"
#include "runtime/formats/text.hpp"

#include <cmath>

namespace attn::models {
namespace {

constexpr std::string_view weight_suffix = ".weight";

bool adaptable(const WeightSpec& spec) {
  return !spec.lora && spec.shape.size() == 2 && spec.name.ends_with(weight_suffix) &&
         (spec.name.starts_with("model.layers.") || spec.name.starts_with("encoder.layer."));
}

void add_factor(std::string name, Dims shape, std::vector<float> values, double scale,
                std::vector<WeightSpec>& specs, Weights& weights) {
  WeightSpec& spec = specs.emplace_back();
  spec.name = std::move(name);
  spec.shape = std::move(shape);
  spec.lora = LoraFactor{.scale = scale};
  weights.add(spec.name, spec.shape, std::move(values));
}

void check_fits(const AdapterFile& adapter, const std::string& where,
                std::span<const WeightSpec> specs) {
  for (const AdapterModule& module : adapter.modules) {
    const auto fail = [&](const std::string& problem) {
      throw Error(ErrorKind::invalid, where + ": module " + runtime::quote(module.name) + problem);
    };
    const WeightSpec* const spec = find_spec(specs, module.name + std::string(weight_suffix));
    if (module.name == "lm_head" || (spec != nullptr && !adaptable(*spec))) {
      fail(" is no projection of a layer: embeddings and heads are not adapted here");
    }
    if (spec == nullptr) fail(" is not part of the model");
    if (spec->shape != Dims{module.out, module.in}) {
      fail(" has factors for " + runtime::shape_text(Dims{module.out, module.in}) +
           ", and the model's weight is " + runtime::shape_text(spec->shape));
    }
  }
}

}  // namespace

std::vector<std::string> adaptable_modules(std::span<const WeightSpec> specs) {
  std::vector<std::string> modules;
  for (const WeightSpec& spec : specs) {
    if (!adaptable(spec)) continue;
    modules.push_back(spec.name.substr(0, spec.name.size() - weight_suffix.size()));
  }
  return modules;
}

std::vector<LoadedAdapter> load_adapters(std::span<const Adapter> adapters,
                                         const Architecture& architecture, const Metadata& metadata,
                                         std::span<const WeightSpec> specs) {
  std::vector<LoadedAdapter> loaded;
  for (const Adapter& adapter : adapters) {
    const std::string where = runtime::path_text(adapter.folder);
    if (architecture.purpose == Purpose::tensors) {
      throw Error(ErrorKind::usage,
                  where + ": adapters are for language models and encoders, and this model is " +
                      std::string(architecture.name));
    }
    if (!std::isfinite(adapter.scale)) {
      throw Error(ErrorKind::usage,
                  where + ": the scale " + std::to_string(adapter.scale) + " is no finite number");
    }
    LoadedAdapter& each = loaded.emplace_back();
    each.file = read_adapter(adapter.folder);
    each.scale = adapter.scale;
    check_fits(each.file, where, specs);
    to_model_order(each.file, metadata, specs);
  }
  return loaded;
}

void add_adapter(LoadedAdapter adapter, std::vector<WeightSpec>& specs, Weights& weights) {
  for (AdapterModule& module : adapter.file.modules) {
    const double scale = adapter.scale * adapter.file.scale(module);
    const int place = next_adapter(specs, module.name);
    add_factor(lora_a(module.name, place), {module.rank, module.in}, std::move(module.a), scale,
               specs, weights);
    add_factor(lora_b(module.name, place), {module.out, module.rank}, std::move(module.b), scale,
               specs, weights);
  }
}

}  // namespace attn::models
