#include "models/lora/merge.hpp"

namespace attn::models {

Merge::Merge(std::vector<LoadedAdapter> adapters) : adapters_(std::move(adapters)) {
  for (const LoadedAdapter& adapter : adapters_) {
    for (const AdapterModule& module : adapter.file.modules) {
      const double scale = adapter.scale * adapter.file.scale(module);
      terms_[module.name + ".weight"].push_back({&module, static_cast<float>(scale)});
    }
  }
}

void Merge::add_to(std::string_view weight, std::int64_t row, std::span<float> values) const {
  const auto found = terms_.find(weight);
  if (found == terms_.end()) return;
  for (const Term& term : found->second) {
    const AdapterModule& module = *term.module;
    for (std::int64_t r = 0; r < module.rank; ++r) {
      const float factor = term.scale * module.b[static_cast<std::size_t>(row * module.rank + r)];
      const float* const a = module.a.data() + r * module.in;
      for (std::size_t i = 0; i < values.size(); ++i) values[i] += factor * a[i];
    }
  }
}

}  // namespace attn::models
