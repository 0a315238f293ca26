#pragma once

#include "bench/arguments.hpp"

#include <nlohmann/json.hpp>

namespace attn::bench {

/// Measures the model in every test: a list of rows under llama-bench's names, and more. Progress
/// stands on stderr if that is a terminal. Throws Error for what cannot be opened or run.
[[nodiscard]] nlohmann::ordered_json model_report(const Arguments& arguments);

}  // namespace attn::bench
