#include "tools/tune/text_model.hpp"

#include "attn/error.hpp"
#include "tools/common/choices.hpp"
#include "tools/common/interrupt.hpp"
#include "tools/common/model_picture.hpp"
#include "tools/common/terminal.hpp"
#include "tools/draw/loss_plot.hpp"
#include "tools/tune/log.hpp"
#include "tools/tune/tune_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <thread>

namespace attn::tools {
namespace {

/// Cancels a tuner as soon as Ctrl-C is pressed: an update may take many seconds.
class CancelOnInterrupt {
 public:
  explicit CancelOnInterrupt(Tuner& tuner)
      : thread_([&tuner](const std::stop_token& stop) {
          while (!stop.stop_requested()) {
            if (interrupted()) return tuner.cancel();
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
          }
        }) {}

 private:
  std::jthread thread_;
};

class Tuning {
 public:
  Tuning(TunePlan plan, Model model, Out& out)
      : plan_(std::move(plan)), model_(std::move(model)), out_(out) {}

  void run() {
    check_model();
    read_data();
    complete_options();
    Tuner tuner = make_tuner();
    if (plan_.log) log_.emplace(*plan_.log, plan_.run.resume);
    const HoldInterrupts hold;  // either all files are written, or none
    const TuneResult result = train(tuner);
    progress_.clear();
    if (result.stopped) throw Interrupted{interruption(result)};
    tuner.save(plan_.output);
    if (plan_.plot) write_loss_plot(*plan_.plot, plot(result));
    if (plan_.page) draw_pages();
    const TuneReport report{result, plan_.tune.task, tuner.trained_parameters(), looked_at_};
    out_.print(plan_.json ? json_text(report) : closing_text(report) + written());
    out_.flush();
  }

 private:
  void check_model() {
    const TextInfo& text = model_.text();
    const bool language = plan_.tune.task == TuneTask::language ||
                          plan_.tune.attention.weight_beside_language.has_value();
    const bool similarity = plan_.tune.task == TuneTask::similarity;
    if ((language && !text.generates) || (similarity && !text.embeds)) {
      throw Error(ErrorKind::usage, "--task " + plan_.task + ": needs " +
                                        (similarity ? "an encoder" : "a language model") +
                                        ", and " + plan_.model + " is a " + model_.architecture() +
                                        " model");
    }
    if (plan_.context && *plan_.context > text.trained_context) {
      throw Error(ErrorKind::usage, "--context " + std::to_string(*plan_.context) +
                                        ": is not in 1.." + std::to_string(text.trained_context) +
                                        ", which the model was made for");
    }
    plan_.tune.attention.layers = number_list("--layers", plan_.layers, text.layers);
    plan_.tune.attention.heads = number_list("--heads", plan_.heads, text.heads);
  }

  void read_data() {
    DataOptions options;
    options.context_asked = plan_.context.has_value();
    options.context = plan_.context.value_or(0);
    if (plan_.sentence) {
      train_.push_back(
          attention_example(model_, {*plan_.sentence, plan_.size_words, "--sentence"}, options));
    } else {
      train_ = examples_of(*plan_.data, options);
    }
    options.context_asked = false;  // what is evaluated on may be short
    if (plan_.evaluation) held_out_ = examples_of(*plan_.evaluation, options);
    plan_.tune.scored = !std::isnan(train_.front().score);
    if (plan_.evaluation_share) {
      SplitExamples split =
          split_held_out(std::move(train_), *plan_.evaluation_share, plan_.tune.seed);
      train_ = std::move(split.train);
      held_out_ = std::move(split.held_out);
    }
    if (plan_.tune.task == TuneTask::similarity) {
      plan_.tune.scored = !std::isnan(train_.front().score);
    }
    plan_.tune.context =
        plan_.context.value_or(std::max(longest_example(train_), longest_example(held_out_)));
  }

  [[nodiscard]] std::vector<TuneExample> examples_of(const std::string& file,
                                                     const DataOptions& options) const {
    switch (plan_.tune.task) {
      case TuneTask::language: return language_examples(model_, file, options);
      case TuneTask::attention: return attention_examples(model_, file, plan_.size_words, options);
      case TuneTask::similarity: return similarity_examples(model_, file, options);
    }
    return {};
  }

  void complete_options() {
    // a constant rate knows of no end, so that a run may be resumed to go on for longer
    const std::int64_t steps = tune_steps(train_.size(), plan_.tune, plan_.run);
    if (plan_.tune.schedule != Schedule::constant) plan_.tune.steps = steps;
    total_ = steps;
    plan_.run.on_step = [&](const TuneStep& step) { return on_step(step); };
    plan_.run.on_evaluation = [&](const TuneEvaluation& evaluation, std::int64_t step) {
      if (log_) log_->add(evaluation, plan_.tune.task, step);
      return !interrupted();
    };
  }

  /// What the body returns; where it lacks memory, the error names the model that is to blame.
  template <class Body>
  auto with_model_named(Body&& body) const {
    try {
      return body();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::memory) throw;
      throw Error(error.kind(), plan_.model + ": " + error.what());
    }
  }

  Tuner make_tuner() {
    return with_model_named([&] { return Tuner(model_, plan_.tune); });
  }

  TuneResult train(Tuner& tuner) {
    const CancelOnInterrupt cancel(tuner);
    return with_model_named([&] { return tune(tuner, train_, held_out_, plan_.run); });
  }

  bool on_step(const TuneStep& step) {
    if (log_) log_->add(step, plan_.tune.task);
    if (!first_) first_ = step.step;
    const bool looks = plan_.tune.task == TuneTask::attention;
    if (looks) looked_at_.push_back(step.looked_at);
    if (progress_.due()) {
      const double speed = step.seconds > 0 ? static_cast<double>(step.tokens) / step.seconds : 0;
      progress_.show(
          step.step - *first_ + 1, total_ - *first_ + 1,
          fmt::format("{}/{}  loss {:.4f}{}  {:.0f} tokens/s  {:.0f} MB", step.step, total_,
                      step.loss, looks ? fmt::format("  looked at {:.3f}", step.looked_at) : "",
                      speed, peak_mb()));
    }
    return !interrupted();
  }

  [[nodiscard]] std::string interruption(const TuneResult& result) const {
    const std::string done =
        fmt::format("interrupted after {} of {} updates; ", result.losses.size(), total_);
    if (result.checkpoint.empty()) return done + "nothing was written";
    return done + "the same command with --resume goes on from " + result.checkpoint.string();
  }

  [[nodiscard]] std::string title() const {
    return std::filesystem::path(plan_.model).filename().string();
  }

  [[nodiscard]] LossPlot plot(const TuneResult& result) const {
    LossPlot plot{title() + " · " + plan_.task, result.losses, {}};
    for (const EvaluatedStep& each : result.evaluations) {
      plot.held_out.push_back({static_cast<int>(each.step), each.evaluation.loss});
    }
    return plot;
  }

  /// Where the tokens of the first example look, in the model that came and in the one that was
  /// written.
  void draw_pages() {
    const AttentionGoal& goal = plan_.tune.attention;
    const std::vector<std::int32_t>& tokens = train_.front().tokens;
    Options options;
    options.threads = plan_.threads;
    const bool lora = plan_.tune.method == TuneMethod::lora;
    if (lora) options.adapters.push_back({plan_.output});
    write_model_attention(
        *plan_.page + "-before.html",
        model_picture(model_, tokens, goal.layers, goal.heads, title() + ", before tuning"));
    Model tuned = Model::open(lora ? plan_.model : plan_.output, options);
    write_model_attention(
        *plan_.page + "-after.html",
        model_picture(tuned, tokens, goal.layers, goal.heads, title() + ", after tuning"));
  }

  [[nodiscard]] std::string written() const {
    const bool lora = plan_.tune.method == TuneMethod::lora;
    std::string text =
        std::string("\n") + (lora ? "Adapter" : "Model") + " written to " + plan_.output + "\n";
    if (plan_.plot) text += "Plot written to " + *plan_.plot + "\n";
    if (plan_.page) {
      text += "Pages written to " + *plan_.page + "-before.html and -after.html\n";
    }
    return text;
  }

  TunePlan plan_;
  Model model_;
  Out& out_;
  std::vector<TuneExample> train_, held_out_;
  std::optional<TuneLog> log_;
  std::vector<double> looked_at_;      // of every update of this run, where that is learned
  std::optional<std::int64_t> first_;  // update of this run
  std::int64_t total_ = 0;
  ProgressBar progress_{"training"};
};

}  // namespace

void tune_text_model(TunePlan plan, Model model, Out& out) {
  Tuning(std::move(plan), std::move(model), out).run();
}

}  // namespace attn::tools
