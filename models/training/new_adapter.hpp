#pragma once

#include "attn/tune.hpp"
#include "models/architecture.hpp"
#include "models/lora/adapter_files.hpp"

#include <cstdint>
#include <span>

namespace attn::models {

/// An adapter that changes nothing yet, beside the projections whose names end in a target: A
/// uniform in ±1/√in, as PEFT begins, by the seed and the order of the specs; B zero. Without
/// targets beside the projections of attention. Throws Error(usage) naming a target that no
/// projection's name ends in.
[[nodiscard]] AdapterFile new_adapter(std::span<const WeightSpec> specs, const LoraOptions& lora,
                                      std::uint64_t seed);

}  // namespace attn::models
