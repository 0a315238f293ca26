#include "tools/tune/plan.hpp"

#include "attn/error.hpp"
#include "tools/common/choices.hpp"
#include "tools/common/output.hpp"
#include "tools/common/tool.hpp"

#include <cmath>
#include <filesystem>
#include <initializer_list>
#include <limits>
#include <utility>
#include <vector>

namespace attn::tools {
namespace {

constexpr std::int64_t most_updates = 1'000'000'000;  // their losses are kept until the end
constexpr std::int64_t most_batch = 65536, most_rank = 1024;
constexpr double most = std::numeric_limits<double>::max();

[[noreturn]] void refuse(const std::string& message) { throw Error(ErrorKind::usage, message); }

std::int64_t count(const char* option, const std::optional<std::string>& text, std::int64_t low,
                   std::int64_t high, std::int64_t otherwise) {
  return text ? whole_number(option, *text, low, high) : otherwise;
}

void take_method(const Arguments& a, TuneOptions& tune) {
  tune.method = a.full ? TuneMethod::full : TuneMethod::lora;
  LoraOptions& lora = tune.lora;
  lora.rank = static_cast<int>(count("--rank", a.rank, 1, most_rank, lora.rank));
  if (a.alpha) lora.alpha = positive_number("--alpha", *a.alpha);
  if (a.dropout) {
    lora.dropout = number_within("--dropout", *a.dropout, {0, 1});
    if (lora.dropout == 1) refuse("--dropout 1: would leave nothing to learn from");
  }
  if (a.targets) lora.targets = word_list("--targets", *a.targets);
  if (a.adapter) lora.start = *a.adapter;
}

void take_training(const Arguments& a, TuneOptions& tune, TuneRunOptions& run) {
  tune.batch_size =
      static_cast<int>(count("--batch-size", a.batch, 1, most_batch, tune.batch_size));
  tune.accumulate =
      static_cast<int>(count("--accumulate", a.accumulate, 1, most_batch, tune.accumulate));
  if (a.rate) tune.learning_rate = positive_number("--lr", *a.rate);
  if (a.weight_decay) {
    tune.weight_decay = number_within("--weight-decay", *a.weight_decay, {0, most});
  }
  if (a.clip) tune.clip = number_within("--clip", *a.clip, {0, most});
  const std::string schedule = a.schedule.value_or("constant");
  if (schedule != "constant" && schedule != "cosine") {
    refuse("--schedule " + schedule + ": needs constant or cosine");
  }
  tune.schedule = schedule == "cosine" ? Schedule::cosine : Schedule::constant;
  tune.warmup = count("--warmup", a.warmup, 0, most_updates, 0);
  tune.precision = precision_choice(a.precision);
  tune.checkpoint_activations = a.checkpoint_activations;
  if (a.seed) tune.seed = seed_number("--seed", *a.seed);
  if (a.memory_limit) tune.memory_limit = byte_count("--memory-limit", *a.memory_limit);
  run.steps = count("--steps", a.steps, 1, most_updates, 0);
  run.epochs = count("--epochs", a.epochs, 1, most_updates, 1);
  run.shuffle = !a.no_shuffle;
}

void take_evaluation(const Arguments& a, TunePlan& plan) {
  plan.evaluation = a.evaluation;
  if (a.evaluation_share) {
    const double share = number_within("--eval-split", *a.evaluation_share, {0, 1, /*above=*/true});
    if (share == 1) refuse("--eval-split 1: would leave nothing to train on");
    plan.evaluation_share = share;
  }
  const std::string needing = given_of(
      {{"--eval-every", a.evaluate_every.has_value()}, {"--patience", a.patience.has_value()}});
  if (!needing.empty() && !a.evaluation && !a.evaluation_share) {
    refuse(needing + ": needs data to evaluate on: --eval or --eval-split");
  }
  if (a.patience && !a.evaluate_every) {
    refuse("--patience: counts evaluations, and --eval-every says how often there are any");
  }
  plan.run.evaluate_every = count("--eval-every", a.evaluate_every, 1, most_updates, 0);
  plan.run.patience =
      static_cast<int>(count("--patience", a.patience, 1, std::numeric_limits<int>::max(), 0));
}

void take_attention(const Arguments& a, TunePlan& plan) {
  const std::string only = given_of({{"--sentence", a.sentence.has_value()},
                                     {"--size-words", a.size_words.has_value()},
                                     {"--layers", a.layers.has_value()},
                                     {"--heads", a.heads.has_value()},
                                     {"--attention-weight", a.attention_weight.has_value()},
                                     {"--page", a.page.has_value()}});
  if (plan.tune.task != TuneTask::attention) {
    if (!only.empty()) refuse(only + ": only for --task size-loss");
    if (!a.data) refuse("--data FILE is needed: what to learn from");
    return;
  }
  if (a.data && a.sentence) refuse("--data, --sentence: only one of them");
  plan.sentence = a.sentence;
  if (!a.data && !a.sentence) plan.sentence = default_sentence;
  if (a.size_words) {
    plan.size_words = word_list("--size-words", *a.size_words);
  } else if (plan.sentence) {
    plan.size_words = word_list("--size-words", default_size_words);
  }
  plan.layers = a.layers;
  plan.heads = a.heads;
  if (a.attention_weight) {
    plan.tune.attention.weight_beside_language =
        number_within("--attention-weight", *a.attention_weight, {0, most});
  }
  if (a.page) {
    check_extension("--page", *a.page, ".html");
    plan.page = a.page->substr(0, a.page->size() - std::string(".html").size());
  }
}

/// A folder in which these files can be made or replaced, or whose place is free in one.
void check_output_folder(const std::string& path, std::initializer_list<const char*> files) {
  const std::filesystem::path folder(path);
  std::error_code error;
  if (std::filesystem::is_directory(folder, error)) {
    for (const char* const file : files) check_output_file((folder / file).string());
    return;
  }
  if (std::filesystem::exists(folder, error)) {
    throw Error(ErrorKind::io, path + ": cannot write: it is a file, and has to be a folder");
  }
  check_output_file(path);
}

/// Nothing that is read, and no other result, would be lost under what is written.
void check_apart(const TunePlan& plan) {
  using File = std::pair<const char*, std::optional<std::string>>;
  std::vector<File> used{{"--data", plan.data}, {"--eval", plan.evaluation}};
  const auto write = [&](const File& file) {
    if (!file.second) return;
    for (const auto& [option, path] : used) {
      std::error_code error;
      const bool same = path && std::filesystem::weakly_canonical(*path, error) ==
                                    std::filesystem::weakly_canonical(*file.second, error);
      if (same) refuse(std::string(file.first) + " " + *file.second + ": is also " + option);
    }
    used.push_back(file);
  };
  write({"-o", plan.output});  // which may be the model itself
  used.emplace_back("MODEL", plan.model);
  used.emplace_back("the folder of checkpoints", plan.output + ".checkpoints");
  write({"--log", plan.log});
  write({"--plot", plan.plot});
  if (!plan.page) return;
  write({"--page", *plan.page + "-before.html"});
  write({"--page", *plan.page + "-after.html"});
}

}  // namespace

TuneTask task_of(const Arguments& arguments) {
  if (!arguments.task) refuse("--task is needed, say what to learn: lm, size-loss or similarity");
  if (*arguments.task == "lm") return TuneTask::language;
  if (*arguments.task == "size-loss") return TuneTask::attention;
  if (*arguments.task == "similarity") return TuneTask::similarity;
  refuse("--task " + *arguments.task + ": needs lm, size-loss or similarity");
}

TunePlan tune_plan(const Arguments& a) {
  if (a.embedding_dim) refuse("--embedding-dim: only for new teaching models");
  TunePlan plan;
  plan.model = a.model.value_or("");
  plan.task = a.task.value_or("");
  plan.tune.task = task_of(a);
  plan.threads = thread_count(a.threads);
  plan.data = a.data;
  if (a.context) {
    constexpr std::int64_t most_context = 1 << 24;  // the model says what it was made for
    plan.context = static_cast<int>(whole_number("--context", *a.context, 1, most_context));
  }
  take_method(a, plan.tune);
  take_training(a, plan.tune, plan.run);
  take_evaluation(a, plan);
  take_attention(a, plan);
  if (!a.output) refuse("-o OUT is needed: where the trained model goes");
  plan.output = *a.output;
  while (plan.output.size() > 1 && plan.output.ends_with('/')) plan.output.pop_back();
  plan.run.checkpoint_every = count("--checkpoint-every", a.checkpoint_every, 1, most_updates, 0);
  plan.run.resume = a.resume;
  if (a.resume || a.checkpoint_every) plan.run.checkpoints = plan.output + ".checkpoints";
  if (a.plot) check_extension("--plot", *a.plot, ".png .svg");
  plan.log = a.log;
  plan.plot = a.plot;
  plan.json = a.json;
  return plan;
}

void check_outputs(const TunePlan& plan) {
  check_apart(plan);
  if (plan.tune.method == TuneMethod::lora) {
    check_output_folder(plan.output, {"adapter_model.safetensors", "adapter_config.json"});
  } else {
    check_output_file(plan.output);
  }
  if (!plan.run.checkpoints.empty()) check_output_folder(plan.run.checkpoints.string(), {"lock"});
  for (const auto& path : {plan.log, plan.plot}) {
    if (path) check_output_file(*path);
  }
  if (plan.page) {
    for (const char* const end : {"-before.html", "-after.html"}) {
      check_output_file(*plan.page + end);
    }
  }
}

}  // namespace attn::tools
