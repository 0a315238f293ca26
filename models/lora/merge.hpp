#pragma once

#include "models/lora/apply.hpp"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace attn::models {

/// What adapters add to the weights of a model: W + scale · B A, all of them, in f32.
class Merge {
 public:
  /// Of adapters that fit the model, in its order of rows.
  explicit Merge(std::vector<LoadedAdapter> adapters);
  Merge(const Merge&) = delete;  ///< its terms point into its adapters
  Merge& operator=(const Merge&) = delete;

  /// Does it change the weight of that name ("model.layers.0.self_attn.q_proj.weight")?
  [[nodiscard]] bool changes(std::string_view weight) const { return terms_.contains(weight); }

  /// Adds to row `row` of that weight, [in]. A weight that is not changed stays as it is.
  void add_to(std::string_view weight, std::int64_t row, std::span<float> values) const;

 private:
  struct Term {
    const AdapterModule* module;
    float scale;
  };
  std::vector<LoadedAdapter> adapters_;
  std::map<std::string, std::vector<Term>, std::less<>> terms_;  // by weight
};

}  // namespace attn::models
