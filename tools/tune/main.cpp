// attn-tune: trains a model and shows how its attention changes.

#include "attn/attn.hpp"
#include "tools/common/interrupt.hpp"
#include "tools/common/terminal.hpp"
#include "tools/common/tool.hpp"
#include "tools/common/words.hpp"
#include "tools/tune/report.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <optional>
#include <string>
#include <vector>

namespace {

using namespace attn;
using namespace attn::tools;

constexpr int epochs_between_reports = 20;
constexpr std::int64_t most_epochs = 10'000'000;  // their losses and weights are kept until the end
constexpr std::int64_t most_dimensions = 1
                                         << 14;  // three square projections of more have 3 GiB each
constexpr const char* default_sentence =
    "The pink elephant tried to get into the car but it was too";
constexpr const char* default_size_words = "elephant,car,too";

struct Arguments {
  std::optional<std::string> model, task, sentence, size_words, embedding_dim, seed, threads,
      output, plot;
  std::string epochs = "200", rate = "0.001";
  bool json = false;
};

/// The arguments as numbers and words, checked.
struct Plan {
  SizeLossTask task;
  TrainOptions training;
  Options options;
  std::int64_t embedding_dim = 4;
  std::uint64_t seed = 0;
};

void declare(CLI::App& app, Arguments& arguments) {
  auto* model = app.add_option("-m,--model,MODEL", arguments.model,
                               "The model.bin to train; without one a new model is made");
  auto* task = app.add_option("--task", arguments.task,
                              "What to learn: size-loss (the last word looks at the size words)");
  auto* sentence =
      app.add_option("-s,--sentence", arguments.sentence,
                     "The words, blanks between them; without it the model's own, or for a new "
                     "model: " +
                         std::string(default_sentence));
  auto* size_words = app.add_option("--size-words", arguments.size_words,
                                    "The words that speak of size, commas between them; without it "
                                    "the model's own, or: " +
                                        std::string(default_size_words));
  auto* dim = app.add_option("--embedding-dim", arguments.embedding_dim,
                             "Length of a new model's word vectors (4)");
  auto* epochs = app.add_option("-e,--epochs", arguments.epochs, "How often to update (200)");
  auto* rate = app.add_option("--lr", arguments.rate, "Learning rate of Adam (0.001)");
  auto* seed = app.add_option("--seed", arguments.seed,
                              "Of a new model's random weights (0); the same one gives the same "
                              "model everywhere");
  auto* threads = app.add_option("-t,--threads", arguments.threads,
                                 "1 to 1024; without it the processors that this process may use");
  auto* output = app.add_option("-o,--output", arguments.output, "Write the trained model here");
  auto* plot = app.add_option("--plot", arguments.plot,
                              "Draw loss and weights over the epochs into FILE.png or .svg");
  app.add_flag("--json", arguments.json, "Print JSON with every digit instead of the analysis");
  app.set_help_flag("-h,--help", "Print this");
  app.set_version_flag("--version", std::string("attn-tune ") + ATTN_VERSION, "Print the version");

  for (CLI::Option* option : {model, output, plot}) option->type_name("FILE");
  for (CLI::Option* option : {dim, epochs, rate, seed, threads}) option->type_name("N");
  task->type_name("NAME");
  sentence->type_name("TEXT");
  size_words->type_name("A,B,C");
  model->excludes(dim)->excludes(seed);
  app.footer(
      "Exit codes: 0 done, 2 wrong use, 3 invalid model or data, 4 input or output failed,\n"
      "            5 not enough memory, 6 numerical failure, 130 interrupted\n\n"
      "Examples:\n"
      "  attn-tune --task size-loss -o elephant.bin --plot elephant.png && attn-run elephant.bin\n"
      "  attn-tune --task size-loss --sentence 'a tiny mouse saw a huge cat' --size-words "
      "tiny,huge");
}

Plan plan_of(const Arguments& arguments) {
  if (arguments.task.value_or("") != "size-loss") {
    throw Error(ErrorKind::usage, arguments.task
                                      ? "--task " + *arguments.task + ": there is only size-loss"
                                      : "--task size-loss is needed: say what to learn");
  }
  Plan plan;
  plan.options.threads = thread_count(arguments.threads);
  plan.training.epochs =
      static_cast<int>(whole_number("--epochs", arguments.epochs, 1, most_epochs));
  plan.training.learning_rate = positive_number("--lr", arguments.rate);
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

Model model_of(const Arguments& arguments, const Plan& plan) {
  if (arguments.model) return Model::open(*arguments.model, plan.options);
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

int main(int argc, char** argv) {
  return run_tool("attn-tune", [&](Out& out) {
    CLI::App app("Trains an attention model and shows how its attention changes.", "attn-tune");
    Arguments arguments;
    declare(app, arguments);
    if (!parse_arguments(app, argc, argv, out)) return;
    Plan plan = plan_of(arguments);
    if (arguments.plot) check_extension("--plot", *arguments.plot, ".png .svg");
    for (const auto& path : {arguments.output, arguments.plot}) {
      if (path) check_output_file(*path);
    }
    Model model = model_of(arguments, plan);
    Training(model, arguments, std::move(plan), out).run();
  });
}
