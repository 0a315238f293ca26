#pragma once

#include "models/architecture.hpp"
#include "runtime/graph.hpp"

#include <span>
#include <string>
#include <string_view>

namespace attn::models {

/// The input I32 [1] of a training graph that says which numbers dropout draws. A graph without it
/// drops nothing.
inline constexpr const char* dropout_input = "dropout";

/// The names of an adapter's factors A [rank, in] and B [out, rank] beside the projection `module`
/// ("model.layers.0.self_attn.q_proj"); adapters are counted from 0.
[[nodiscard]] std::string lora_a(std::string_view module, int adapter);
[[nodiscard]] std::string lora_b(std::string_view module, int adapter);

/// The place of the next adapter beside it: how many there are.
[[nodiscard]] int next_adapter(std::span<const WeightSpec> specs, std::string_view module);

/// Is there an adapter beside it?
[[nodiscard]] bool has_adapter(std::span<const WeightSpec> specs, std::string_view module);

/// y, the projection `module` of x, with what the adapters among the specs add to it. Every
/// architecture's graph sends its projections through here.
[[nodiscard]] runtime::ValueId adapted(runtime::Graph& graph, std::span<const WeightSpec> specs,
                                       std::string_view module, runtime::ValueId x,
                                       runtime::ValueId y);

}  // namespace attn::models
