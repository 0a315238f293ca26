#pragma once

#include "attn/attn.hpp"
#include "tools/common/output.hpp"
#include "tools/tune/arguments.hpp"

#include <optional>

namespace attn::tools {

/// The size-loss task on a teaching model: on `model`, or where there is none a new one.
void tune_teaching_model(const Arguments& arguments, std::optional<Model> model, Out& out);

}  // namespace attn::tools
