#include "tools/tune/teaching.hpp"

#include "tools/common/interrupt.hpp"
#include "tools/common/terminal.hpp"
#include "tools/common/tool.hpp"
#include "tools/common/words.hpp"
#include "tools/tune/report.hpp"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <vector>

namespace attn::tools {
namespace {

constexpr int epochs_between_reports = 20;
constexpr std::int64_t most_epochs = 10'000'000;  // their losses and weights are kept until the end
constexpr std::int64_t most_dimensions = 1
                                         << 14;  // three square projections of more have 3 GiB each

/// The arguments as numbers and words, checked.
struct Plan {
  SizeLossTask task;
  TrainOptions training;
  Options options;
  std::int64_t embedding_dim = 4;
  std::uint64_t seed = 0;
};

Plan plan_of(const Arguments& arguments) {
  const std::string others = given_of_text_models(arguments);
  if (!others.empty()) {
    throw Error(ErrorKind::usage, others + ": only for language models and encoders");
  }
  if (arguments.model && arguments.seed) {
    throw Error(ErrorKind::usage, "--seed: is of a new model's weights, and MODEL has its own");
  }
  Plan plan;
  plan.options.threads = thread_count(arguments.threads);
  plan.training.epochs =
      static_cast<int>(whole_number("--epochs", arguments.epochs.value_or("200"), 1, most_epochs));
  plan.training.learning_rate = positive_number("--lr", arguments.rate.value_or("0.001"));
  if (arguments.embedding_dim) {
    plan.embedding_dim =
        whole_number("--embedding-dim", *arguments.embedding_dim, 1, most_dimensions);
  }
  if (arguments.seed) plan.seed = seed_number("--seed", *arguments.seed);
  // a model that is opened brings both along, and empty means its own
  if (arguments.sentence || !arguments.model) {
    plan.task.sentence = arguments.sentence.value_or(default_sentence);
    if (Model::words(plan.task.sentence).empty()) {
      throw Error(ErrorKind::invalid, "--sentence: is empty, it needs at least two words");
    }
  }
  if (arguments.size_words || !arguments.model) {
    plan.task.size_words =
        word_list("--size-words", arguments.size_words.value_or(default_size_words));
  }
  return plan;
}

Model new_model(const Plan& plan) {
  std::string size_words;
  for (const std::string& word : plan.task.size_words) {
    size_words += (size_words.empty() ? "" : ",") + word;
  }
  return Model::create("size_loss_attention",
                       {{"sentence", plan.task.sentence},
                        {"size_words", size_words},
                        {"embedding_dim", std::to_string(plan.embedding_dim)}},
                       plan.seed, plan.options);
}

class Training {
 public:
  Training(Model& model, const Arguments& arguments, Plan plan, Out& out)
      : model_(model), arguments_(arguments), plan_(std::move(plan)), out_(out) {
    sentence_ = plan_.task.sentence.empty() ? model.sentence() : plan_.task.sentence;
    tokens_ = Model::words(sentence_);
    words_.tokens = tokens_;
    words_.is_size_word = mark_size_words(
        tokens_, plan_.task.size_words.empty() ? model.size_words() : plan_.task.size_words);
    history_.emplace(words_);
  }

  void run() {
    const HoldInterrupts hold;  // either all files are written, or none
    plan_.training.on_epoch = [&](const EpochReport& report) { return on_epoch(report); };
    const TrainResult result = train();
    progress_.clear();
    if (result.stopped) {
      throw Interrupted{fmt::format("interrupted after {} of {} epochs; nothing was written",
                                    result.losses.size(), plan_.training.epochs)};
    }
    HoldInterrupts::check();
    if (arguments_.output) model_.save(*arguments_.output);
    if (arguments_.plot) write_training_plot(*arguments_.plot, history_->plot(sentence_));
    out_.print(arguments_.json ? json_text(result) : closing_text(result));
    out_.flush();
  }

 private:
  /// Training, with the model's file named where it is the one that does not fit.
  TrainResult train() {
    try {
      return model_.train(plan_.task, plan_.training);
    } catch (const Error& error) {
      if (!arguments_.model) throw;
      throw Error(error.kind(), *arguments_.model + ": " + error.what());
    }
  }

  bool on_epoch(const EpochReport& report) {
    if (arguments_.plot) history_->add(report);
    if (!arguments_.json && report.epoch % epochs_between_reports == 0) {
      progress_.clear();
      words_.weights = report.attention_weights;
      out_.print(pattern_text(report, words_));
      out_.flush();
    }
    if (progress_.due()) {
      progress_.show(report.epoch, report.epochs, fmt::format("loss {:.4f}", report.loss));
    }
    return !interrupted();
  }

  [[nodiscard]] std::string closing_text(const TrainResult& result) const {
    std::string text = fmt::format("After {} {}\n", result.losses.size(),
                                   result.losses.size() == 1 ? "epoch" : "epochs");
    text += ranking_text({result.tokens, result.attention_weights_after, result.is_size_word});
    if (arguments_.output || arguments_.plot) text += "\n";
    if (arguments_.output) text += "Model written to " + *arguments_.output + "\n";
    if (arguments_.plot) text += "Plot written to " + *arguments_.plot + "\n";
    return text;
  }

  Model& model_;
  const Arguments& arguments_;
  Plan plan_;
  Out& out_;
  std::string sentence_;
  std::vector<std::string> tokens_;
  WordWeights words_;
  std::optional<History> history_;
  ProgressBar progress_{"training"};
};

}  // namespace

void tune_teaching_model(const Arguments& arguments, std::optional<Model> model, Out& out) {
  Plan plan = plan_of(arguments);
  if (arguments.plot) check_extension("--plot", *arguments.plot, ".png .svg");
  for (const auto& path : {arguments.output, arguments.plot}) {
    if (path) check_output_file(*path);
  }
  if (!model) model = new_model(plan);
  Training(*model, arguments, std::move(plan), out).run();
}

}  // namespace attn::tools
