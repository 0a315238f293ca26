#pragma once

#include "attn/attn.hpp"
#include "tools/common/output.hpp"
#include "tools/tune/plan.hpp"

namespace attn::tools {

/// Trains a language model or an encoder as planned, writes what came of it and reports.
void tune_text_model(TunePlan plan, Model model, Out& out);

}  // namespace attn::tools
