#pragma once

// A whole run of fine-tuning: epochs, evaluation, checkpoints, and going on after an interruption.

#include "attn/tune.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

namespace attn {

struct TuneRunOptions {
  std::int64_t steps = 0;   ///< updates; 0: as many as the epochs take
  std::int64_t epochs = 1;  ///< how often every example is read, where `steps` is 0; above 0
  bool shuffle = true;      ///< every epoch in an order of its own, of TuneOptions::seed
  /// Updates between evaluations; 0: only before the first and after the last.
  std::int64_t evaluate_every = 0;
  /// Ends the run after that many evaluations in a row without a better loss; 0: never.
  int patience = 0;
  /// Folder of checkpoints, made where it is missing; empty: none. One run at a time uses it. The
  /// two newest are kept, those of an earlier run only until the first of this one.
  std::filesystem::path checkpoints;
  std::int64_t checkpoint_every = 0;  ///< updates; 0: only where the run is stopped
  bool resume = false;                ///< go on from the newest; `steps` may be more than they were
  /// After every update, and every evaluation with the updates before it, in the calling thread;
  /// returning false stops the run. What they throw ends it, without a checkpoint.
  std::function<bool(const TuneStep&)> on_step;
  std::function<bool(const TuneEvaluation&, std::int64_t step)> on_evaluation;
};

/// An evaluation and the updates before it.
struct EvaluatedStep {
  std::int64_t step = 0;
  TuneEvaluation evaluation;
};

struct TuneResult {
  std::vector<double> losses;              ///< one an update, those before resuming included
  std::vector<EvaluatedStep> evaluations;  ///< in their order; empty without held-out examples
  std::int64_t steps = 0;                  ///< updates that were to be done
  std::int64_t resumed_from = 0;           ///< updates that the checkpoint had
  /// Of the update in the middle when ordered by speed, the first two of this run left out where
  /// there are more; 0 without any.
  double tokens_per_s = 0;
  bool stopped = false;  ///< by a callback, Tuner::cancel() or the model's token
  bool out_of_patience = false;
  std::filesystem::path checkpoint;  ///< the last that was written; empty: none
};

/// Updates that a run on so many examples takes. Throws Error(usage) for options out of range,
/// Error(invalid) for no examples.
[[nodiscard]] ATTN_API std::int64_t tune_steps(std::size_t examples, const TuneOptions& tune,
                                               const TuneRunOptions& options);

/// For a tuner without updates, unless it resumes (Error(usage)). Trains on `train`, and evaluates
/// on `held_out` (may be empty) before the first update, every evaluate_every of them, and after
/// the last. Bits are the same whether a run was interrupted and resumed or not. Throws what the
/// tuner throws, and tune_steps(); Error(io) if the folder of checkpoints cannot be used, another
/// process uses it, or there is none to resume from; Error(invalid) naming a checkpoint that is
/// damaged, or of another model, other options or other data; Error(usage) for one with more
/// updates than the run is to have.
ATTN_API TuneResult tune(Tuner& tuner, std::span<const TuneExample> train,
                         std::span<const TuneExample> held_out, const TuneRunOptions& options);

}  // namespace attn
