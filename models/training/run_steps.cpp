#include "attn/error.hpp"
#include "attn/tune_run.hpp"
#include "models/training/order.hpp"

#include <string>

namespace attn {
namespace {

void at_least(std::int64_t value, std::int64_t low, const char* name) {
  if (value < low) {
    throw Error(ErrorKind::usage, std::string(name) + ": " + std::to_string(value) +
                                      " is not at least " + std::to_string(low));
  }
}

}  // namespace

std::int64_t tune_steps(std::size_t examples, const TuneOptions& tune,
                        const TuneRunOptions& options) {
  at_least(options.steps, 0, "steps");
  at_least(options.evaluate_every, 0, "evaluate_every");
  at_least(options.checkpoint_every, 0, "checkpoint_every");
  at_least(options.patience, 0, "patience");
  at_least(tune.batch_size, 1, "batch_size");
  at_least(tune.accumulate, 1, "accumulate");
  if (options.steps == 0) at_least(options.epochs, 1, "epochs");
  if (examples == 0) throw Error(ErrorKind::invalid, "there are no examples to train on");
  if (examples < models::fewest_examples(tune)) {
    throw Error(ErrorKind::invalid, "one pair without a score has no others to be told from");
  }
  // every loss is kept in the checkpoints' header, which is limited to 100 MB
  constexpr std::int64_t most_steps = 4'000'000;
  if (options.steps > most_steps) {
    throw Error(ErrorKind::usage, "steps: " + std::to_string(options.steps) + " are more than " +
                                      std::to_string(most_steps));
  }
  if (options.steps > 0) return options.steps;
  const models::Order order(
      examples,
      static_cast<std::size_t>(tune.batch_size) * static_cast<std::size_t>(tune.accumulate),
      options.shuffle, tune.seed, models::fewest_examples(tune));
  if (options.epochs > most_steps / order.steps_per_epoch()) {
    throw Error(ErrorKind::usage, "epochs: " + std::to_string(options.epochs) + " are too many");
  }
  return options.epochs * order.steps_per_epoch();
}

}  // namespace attn
