#pragma once

#include "attn/attn.hpp"

namespace attn::fuzz {

/// One thread, the level that is instrumented.
[[nodiscard]] Options fuzz_options();

/// Does with an open model what an application would: looks at it, runs it, generates, embeds,
/// tokenizes. Whatever its file said, attn::Error is all that comes out.
void use(Model& model);

}  // namespace attn::fuzz
