#pragma once

#include "attn/error.hpp"
#include "attn/tune_run.hpp"
#include "models/training/checkpoint_folder.hpp"
#include "models/training/order.hpp"
#include "models/training/run_record.hpp"
#include "runtime/formats/text.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace attn::models {

/// The loop of tune(). `Engine` is Tuner, or in tests what looks like one.
template <class Engine>
class RunLoop {
 public:
  RunLoop(Engine& engine, std::span<const TuneExample> train, std::span<const TuneExample> held_out,
          const TuneRunOptions& options)
      : engine_(engine),
        train_(train),
        held_out_(held_out),
        options_(options),
        steps_(tune_steps(train.size(), engine.options(), options)),
        each_(static_cast<std::size_t>(engine.options().batch_size) *
              static_cast<std::size_t>(engine.options().accumulate)),
        order_(train.size(), each_, options.shuffle, engine.options().seed,
               fewest_examples(engine.options())),
        record_(data_fingerprint(train, each_, options.shuffle),
                data_fingerprint(held_out, 1, false), options.patience) {
    if (!options.checkpoints.empty()) folder_.emplace(options.checkpoints);
  }

  TuneResult run() {
    TuneResult result;
    result.steps = steps_;
    if (options_.resume) {
      resume();
    } else if (engine_.steps() > 0) {
      throw Error(ErrorKind::usage, "the tuner has " + std::to_string(engine_.steps()) +
                                        " updates already, and this run is not to resume");
    }
    result.resumed_from = engine_.steps();
    bool cancelled = false;
    try {
      result.out_of_patience = go();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::cancelled) throw;
      cancelled = true;
    }
    // whose callback asked for a stop beside the last update has all there is; who cancelled may
    // lack the last evaluation
    stopped_ = cancelled || (stopped_ && engine_.steps() < steps_);
    write_last_checkpoint();
    result.stopped = stopped_;
    result.losses = record_.losses();
    result.evaluations = record_.evaluations();
    result.tokens_per_s = record_.tokens_per_s();
    result.checkpoint = last_checkpoint_;
    return result;
  }

 private:
  /// True if the patience ran out.
  bool go() {
    // also the one that the end of an earlier run came before, and the first where there was none
    const std::int64_t begun = engine_.steps();
    const bool due = begun == 0 || every(options_.evaluate_every, begun);
    if (due || record_.evaluations().empty()) evaluate();
    while (!stopped_ && engine_.steps() < steps_) {
      if (record_.out_of_patience()) return true;
      step();
      const std::int64_t done = engine_.steps();
      if (every(options_.evaluate_every, done) && !stopped_) evaluate();
      if (every(options_.checkpoint_every, done)) write_checkpoint();
    }
    if (!stopped_) evaluate();
    return false;
  }

  static bool every(std::int64_t interval, std::int64_t done) {
    return interval > 0 && done % interval == 0;
  }

  void step() {
    std::vector<TuneExample> examples;
    for (const std::size_t i : order_.examples_of(engine_.steps())) examples.push_back(train_[i]);
    const TuneStep step = engine_.step(examples);
    record_.add(step);
    if (options_.on_step && !options_.on_step(step)) stopped_ = true;
  }

  void evaluate() {
    const std::int64_t done = engine_.steps();
    if (held_out_.empty() || record_.evaluated(done)) return;
    const TuneEvaluation evaluation = engine_.evaluate(held_out_);
    record_.add(evaluation, done);
    if (options_.on_evaluation && !options_.on_evaluation(evaluation, done)) stopped_ = true;
  }

  // What a run did is not lost if its results cannot be written. A run of another beginning does
  // not take the place of checkpoints for what it has done since its own last one, if anything.
  void write_last_checkpoint() {
    if (!folder_ || engine_.steps() == 0) return;
    const bool others =
        !options_.resume && last_checkpoint_.empty() && !folder_->checkpoints().empty();
    if (!others || engine_.steps() == steps_) write_checkpoint();
  }

  void write_checkpoint() {
    if (!folder_) return;
    const std::filesystem::path file = folder_->file_of(engine_.steps());
    if (file == last_checkpoint_) return;
    engine_.save_checkpoint(file, record_.notes());
    // only now may those go of an earlier run, which this one was not to go on from
    const bool first = !options_.resume && last_checkpoint_.empty();
    last_checkpoint_ = file;
    constexpr std::size_t kept = 2;  // should the newest be damaged, there is the one before
    folder_->keep(first ? 1 : kept, file);
  }

  void resume() {
    if (!folder_) throw Error(ErrorKind::usage, "resume: needs a folder of checkpoints");
    const std::vector<CheckpointFolder::Checkpoint> all = folder_->checkpoints();
    if (all.empty()) {
      throw Error(ErrorKind::io,
                  runtime::path_text(folder_->path()) + ": has no checkpoint to resume from");
    }
    const std::string name = runtime::path_text(all[0].file);
    try {
      const std::map<std::string, std::string> notes = engine_.resume(all[0].file);
      record_.take(notes, engine_.steps(), name);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::invalid) throw;
      std::string message = error.what();
      if (message.find(name) == std::string::npos) message = name + ": " + message;
      message += all.size() > 1
                     ? "; the checkpoint before it is " + all[1].file.filename().string() +
                           ", which is resumed from once this one is removed"
                     : "; there is no checkpoint before it";
      throw Error(ErrorKind::invalid, message);
    }
    last_checkpoint_ = all[0].file;
    if (engine_.steps() > steps_) {
      throw Error(ErrorKind::usage, "steps: " + std::to_string(steps_) + " are fewer than the " +
                                        std::to_string(engine_.steps()) + " of " + name);
    }
  }

  Engine& engine_;
  std::span<const TuneExample> train_, held_out_;
  const TuneRunOptions& options_;
  std::int64_t steps_;
  std::size_t each_;
  Order order_;
  RunRecord record_;
  std::optional<CheckpointFolder> folder_;
  std::filesystem::path last_checkpoint_;
  bool stopped_ = false;
};

}  // namespace attn::models
