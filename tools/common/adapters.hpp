#pragma once

#include "attn/attn.hpp"

#include <string>
#include <vector>

namespace attn::tools {

/// The values of --lora, DIR or DIR:SCALE each; a folder of that very name is meant where there is
/// one. Error(usage) for a scale that is no finite number.
[[nodiscard]] std::vector<Adapter> adapter_list(const std::vector<std::string>& texts);

}  // namespace attn::tools
