#pragma once

#include "attn/tune.hpp"
#include "models/training/tune_graph.hpp"
#include "runtime/session.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace attn::models {

/// What examples are held against before anything is computed.
struct ExampleLimits {
  TuneTask task = TuneTask::language;
  bool language = true;  ///< as TuneGoal::language
  bool scored = true;
  std::int64_t vocab = 0, context = 0;
};

/// Throws Error(invalid) naming example and position: no tokens, more than the context, an id or
/// target out of range, lists of different lengths, words that do not rise or that are looked at
/// and not there, all or none of them looked at, a score out of [−1, 1], or one where there should
/// be none.
void check_example(const TuneExample& example, const ExampleLimits& limits);

/// Positions of the example that predict something.
[[nodiscard]] std::int64_t target_count(const TuneExample& example);

/// How much of the losses a batch's sums are to be.
struct BatchShares {
  double language = 1;       ///< of every predicted token
  double example = 1;        ///< of every example, or pair
  std::int32_t dropout = 0;  ///< which numbers dropout draws
};

/// Gives a session of a tune graph the examples as one batch: sizes and inputs. Of attention one
/// example at a time.
void fill_batch(runtime::Session& session, const TuneGraph& graph,
                std::span<const TuneExample> examples, const TuneGoal& goal,
                std::span<const int> heads, const BatchShares& shares);

/// Tokens that fill_batch() would read.
[[nodiscard]] std::int64_t token_count(std::span<const TuneExample> examples);

}  // namespace attn::models
