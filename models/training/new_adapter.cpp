#include "models/training/new_adapter.hpp"

#include "attn/error.hpp"
#include "models/lora/apply.hpp"
#include "models/random.hpp"
#include "runtime/formats/text.hpp"

#include <algorithm>
#include <cmath>

namespace attn::models {
namespace {

// The projections of attention by the names that decoders and encoders have for them.
constexpr std::string_view usual_targets[] = {
    "q_proj", "k_proj", "v_proj", "o_proj", "query", "key", "value", "attention.output.dense"};

// Does a module's name end in the target's, at a whole part of it, as PEFT compares them?
bool is_target(std::string_view module, std::string_view target) noexcept {
  if (module == target) return true;
  return module.size() > target.size() && module.ends_with(target) &&
         module[module.size() - target.size() - 1] == '.';
}

}  // namespace

AdapterFile new_adapter(std::span<const WeightSpec> specs, const LoraOptions& lora,
                        std::uint64_t seed) {
  AdapterFile adapter;
  adapter.rank = lora.rank;
  adapter.alpha = lora.alpha;
  adapter.dropout = lora.dropout;
  const std::vector<std::string> modules = adaptable_modules(specs);
  const auto names_one = [&](std::string_view target) {
    return std::any_of(modules.begin(), modules.end(),
                       [&](const std::string& module) { return is_target(module, target); });
  };
  adapter.targets = lora.targets;
  if (adapter.targets.empty()) {
    for (const std::string_view target : usual_targets) {
      if (names_one(target)) adapter.targets.emplace_back(target);
    }
  }
  for (const std::string& target : adapter.targets) {
    if (names_one(target)) continue;
    throw Error(ErrorKind::usage,
                "targets: no projection's name ends in " + runtime::quote(target));
  }
  Random random(seed);
  for (const std::string& name : modules) {
    if (std::none_of(adapter.targets.begin(), adapter.targets.end(),
                     [&](const std::string& target) { return is_target(name, target); })) {
      continue;
    }
    const Dims& shape = find_spec(specs, name + ".weight")->shape;
    AdapterModule& module = adapter.modules.emplace_back();
    module.name = name;
    module.rank = lora.rank;
    module.out = shape[0];
    module.in = shape[1];
    module.a.resize(static_cast<std::size_t>(module.rank * module.in));
    module.b.resize(static_cast<std::size_t>(module.out * module.rank));
    const double bound = 1 / std::sqrt(static_cast<double>(module.in));
    for (float& x : module.a) x = static_cast<float>(random.uniform(-bound, bound));
  }
  return adapter;
}

}  // namespace attn::models
