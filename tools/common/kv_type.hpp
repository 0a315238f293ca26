#pragma once

#include "attn/generator.hpp"

#include <optional>
#include <string>

namespace attn::tools {

/// --kv-type: f32 where it is absent. Throws Error(usage) for what is none of its names.
[[nodiscard]] KvType kv_type(const std::optional<std::string>& text);

/// "f32", "bf16", "q8_0".
[[nodiscard]] const char* kv_type_name(KvType type) noexcept;

}  // namespace attn::tools
