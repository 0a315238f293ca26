#pragma once

#include "attn/attn.h"
#include "attn/attn.hpp"

#include <optional>

namespace attn::c {

/// The options of a model, and what the host brings of its own, as the facade has them.
[[nodiscard]] Options model_options(const attn_model_options* given);

/// The token of a handle; none for null.
[[nodiscard]] std::optional<CancelToken> token_of(attn_cancel* cancel);

/// What a callback of the caller's is told. A call that it ends throws Error(cancelled).
[[nodiscard]] OnProgress progress(attn_progress given, void* user);

}  // namespace attn::c
