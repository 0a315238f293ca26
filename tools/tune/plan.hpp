#pragma once

#include "attn/tune_data.hpp"
#include "attn/tune_run.hpp"
#include "tools/tune/arguments.hpp"

#include <optional>
#include <string>
#include <vector>

namespace attn::tools {

/// --task. Throws Error(usage) where it is absent or none of its names.
[[nodiscard]] TuneTask task_of(const Arguments& arguments);

/// The arguments of a run on a language model or an encoder as numbers and words, as far as they
/// can be checked without the model.
struct TunePlan {
  std::string model, task;
  TuneOptions tune;
  TuneRunOptions run;
  std::optional<std::string> data, sentence;  ///< one of them, but of size-loss perhaps none
  std::vector<std::string> size_words;
  std::optional<int> context;
  std::optional<std::string> layers, heads;
  std::optional<std::string> evaluation;
  std::optional<double> evaluation_share;
  int threads = 0;
  std::string output;
  std::optional<std::string> log, plot;
  std::optional<std::string> page;  ///< what the names of the two pages begin with
  bool json = false;
};

/// Throws Error(usage).
[[nodiscard]] TunePlan tune_plan(const Arguments& arguments);

/// Throws Error(io) if one of the files or folders cannot be written to, Error(usage) if one is
/// also something that is read, or another result.
void check_outputs(const TunePlan& plan);

}  // namespace attn::tools
