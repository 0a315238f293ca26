#pragma once

#include "attn/tune_run.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace attn::tools {

/// The most memory that this process has had, in MB of 2²⁰ bytes.
[[nodiscard]] double peak_mb();

/// What is known of the task, on one line: {"loss", "perplexity" | "correlation" | …, "examples"}.
[[nodiscard]] std::string evaluation_json(const TuneEvaluation& evaluation, TuneTask task);

/// What a run on a language model or an encoder came to.
struct TuneReport {
  const TuneResult& result;
  TuneTask task;
  std::int64_t trained_parameters = 0;
  /// TuneTask::attention: what the size words had together, before every update of this run.
  std::vector<double> looked_at = {};
};

/// {"losses", "looked_at" (of its task), "tokens_per_s", "peak_mb", "evaluation_before",
/// "evaluation_after", "trained_parameters", "stopped", "resumed_from"}; evaluations null without
/// held-out data.
[[nodiscard]] std::string json_text(const TuneReport& report);

/// The same in lines for reading.
[[nodiscard]] std::string closing_text(const TuneReport& report);

}  // namespace attn::tools
