#include "bindings/c/structs.hpp"
#include "bindings/c/tune_handles.hpp"

#include <cmath>

using namespace attn::c;

namespace {

attn_tune_options tune_defaults() noexcept {
  const attn::TuneOptions from;
  attn_tune_options options{};
  options.struct_size = sizeof options;
  options.rank = from.lora.rank;
  options.alpha = from.lora.alpha;
  options.dropout = from.lora.dropout;
  options.context = from.context;
  options.batch_size = from.batch_size;
  options.accumulate = from.accumulate;
  options.steps = from.steps;
  options.learning_rate = from.learning_rate;
  options.weight_decay = from.weight_decay;
  options.scored = from.scored ? 1 : 0;
  options.clip = from.clip;
  options.warmup = from.warmup;
  options.seed = from.seed;
  options.memory_limit = from.memory_limit;
  return options;
}

attn_run_options run_defaults() noexcept {
  const attn::TuneRunOptions from;
  attn_run_options options{};
  options.struct_size = sizeof options;
  options.steps = from.steps;
  options.epochs = from.epochs;
  options.shuffle = from.shuffle ? 1 : 0;
  options.evaluate_every = from.evaluate_every;
  options.patience = from.patience;
  options.checkpoint_every = from.checkpoint_every;
  return options;
}

attn::TuneOptions tune_options(const attn_tune_options* given) {
  const attn_tune_options c = taken(given, tune_defaults(), "attn_tune_options");
  attn::TuneOptions options;
  options.task = one_of(c.task, attn::TuneTask::similarity, "task");
  options.method = one_of(c.method, attn::TuneMethod::full, "method");
  options.lora.rank = c.rank;
  options.lora.alpha = c.alpha;
  options.lora.dropout = c.dropout;
  for (const char* const each : array(c.targets, c.target_count, "targets")) {
    options.lora.targets.emplace_back(text(each, "targets"));
  }
  options.lora.start = text_or_none(c.start);
  const auto layers = array(c.layers, c.layer_count, "layers");
  options.attention.layers.assign(layers.begin(), layers.end());
  const auto heads = array(c.heads, c.head_count, "heads");
  options.attention.heads.assign(heads.begin(), heads.end());
  if (c.beside_language != 0) options.attention.weight_beside_language = c.beside_language;
  options.context = c.context;
  options.batch_size = c.batch_size;
  options.accumulate = c.accumulate;
  options.steps = c.steps;
  options.learning_rate = c.learning_rate;
  options.weight_decay = c.weight_decay;
  options.scored = c.scored != 0;
  options.clip = c.clip;
  options.schedule = one_of(c.schedule, attn::Schedule::cosine, "schedule");
  options.warmup = c.warmup;
  options.precision = one_of(c.precision, attn::Precision::bf16, "precision");
  options.checkpoint_activations = c.checkpoint_activations != 0;
  options.seed = c.seed;
  options.memory_limit = c.memory_limit;
  return options;
}

attn_tune_step step_of(const attn::TuneStep& from) {
  attn_tune_step step{};
  step.struct_size = sizeof step;
  step.step = from.step;
  step.loss = from.loss;
  step.language_loss = from.language_loss;
  step.attention_loss = from.attention_loss;
  step.looked_at = from.looked_at;
  step.rate = from.rate;
  step.gradient_norm = from.gradient_norm.value_or(NAN);
  step.tokens = from.tokens;
  step.seconds = from.seconds;
  return step;
}

attn_tune_evaluation evaluation_of(const attn::TuneEvaluation& from) {
  attn_tune_evaluation evaluation{};
  evaluation.struct_size = sizeof evaluation;
  evaluation.loss = from.loss;
  evaluation.perplexity = from.perplexity;
  evaluation.correlation = from.correlation;
  evaluation.language_loss = from.language_loss;
  evaluation.attention_loss = from.attention_loss;
  evaluation.looked_at = from.looked_at;
  evaluation.examples = from.examples;
  return evaluation;
}

// `asked`: set where a callback of the caller's stopped the run.
attn::TuneRunOptions run_options(const attn_run_options* given, bool& asked) {
  const attn_run_options c = taken(given, run_defaults(), "attn_run_options");
  attn::TuneRunOptions options;
  options.steps = c.steps;
  options.epochs = c.epochs;
  options.shuffle = c.shuffle != 0;
  options.evaluate_every = c.evaluate_every;
  options.patience = c.patience;
  options.checkpoints = text_or_none(c.checkpoints);
  options.checkpoint_every = c.checkpoint_every;
  options.resume = c.resume != 0;
  if (c.on_step != nullptr) {
    options.on_step = [f = c.on_step, user = c.user, &asked](const attn::TuneStep& step) {
      const attn_tune_step told = step_of(step);
      asked = f(user, &told) != 0;
      return !asked;
    };
  }
  if (c.on_evaluation != nullptr) {
    options.on_evaluation = [f = c.on_evaluation, user = c.user, &asked](
                                const attn::TuneEvaluation& evaluation, std::int64_t step) {
      const attn_tune_evaluation told = evaluation_of(evaluation);
      asked = f(user, &told, step) != 0;
      return !asked;
    };
  }
  return options;
}

attn_run_result result_of(attn_tuner& handle) {
  const attn::TuneResult& last = handle.last;
  handle.checkpoint = last.checkpoint.string();
  attn_run_result all{};
  all.losses = last.losses.data();
  all.loss_count = last.losses.size();
  all.steps = last.steps;
  all.resumed_from = last.resumed_from;
  all.tokens_per_s = last.tokens_per_s;
  all.stopped = last.stopped ? 1 : 0;
  all.out_of_patience = last.out_of_patience ? 1 : 0;
  all.checkpoint = handle.checkpoint.c_str();
  return all;
}

}  // namespace

attn_status attn_tune_options_init(attn_tune_options* options, size_t struct_size) {
  return init(options, struct_size, tune_defaults());
}

attn_status attn_run_options_init(attn_run_options* options, size_t struct_size) {
  return init(options, struct_size, run_defaults());
}

attn_status attn_tuner_create(attn_model* model, const attn_tune_options* options,
                              attn_tuner** tuner, attn_error* error) {
  return call(error, [&] {
    const attn_model& from = live(model);
    attn_tuner*& to = required(tuner, "tuner");
    to = new attn_tuner(from.model, tune_options(options));
  });
}

attn_status attn_tuner_free(attn_tuner* tuner) { return free_handle(tuner); }

attn_status attn_tuner_get_info(const attn_tuner* tuner, attn_tuner_info* info, attn_error* error) {
  return call(error, [&] {
    const attn::Tuner& from = live(tuner).tuner;
    const attn::TuneMemory& memory = from.memory();
    attn_tuner_info all{};
    all.steps = from.steps();
    all.trained_parameters = from.trained_parameters();
    all.base_bytes = memory.base;
    all.trained_bytes = memory.trained;
    all.moment_bytes = memory.moments;
    all.gradient_bytes = memory.gradients;
    all.activation_bytes = memory.activations;
    give(all, info, "attn_tuner_info");
  });
}

attn_status attn_tuner_step(attn_tuner* tuner, const attn_examples* examples, size_t first,
                            size_t count, attn_tune_step* step, attn_error* error) {
  return call(error, [&] {
    attn_tuner& handle = live(tuner);
    const std::span<const attn::TuneExample> all = live(examples).all;
    if (first > all.size() || count > all.size() - first) {
      throw attn::Error(attn::ErrorKind::usage, "examples: " + std::to_string(count) + " from " +
                                                    std::to_string(first) + " on, and there are " +
                                                    std::to_string(all.size()));
    }
    if (step != nullptr) check_size<attn_tune_step>(step->struct_size, "attn_tune_step");
    const attn::TuneStep done = handle.tuner.step(all.subspan(first, count));
    if (step != nullptr) give(step_of(done), step, "attn_tune_step");
  });
}

attn_status attn_tuner_evaluate(attn_tuner* tuner, const attn_examples* examples,
                                attn_tune_evaluation* evaluation, attn_error* error) {
  return call(error, [&] {
    attn_tuner& handle = live(tuner);
    const attn_examples& all = live(examples);
    required(evaluation, "evaluation");
    check_size<attn_tune_evaluation>(evaluation->struct_size, "attn_tune_evaluation");
    give(evaluation_of(handle.tuner.evaluate(all.all)), evaluation, "attn_tune_evaluation");
  });
}

attn_status attn_tuner_run(attn_tuner* tuner, const attn_examples* train,
                           const attn_examples* held_out, const attn_run_options* options,
                           attn_run_result* result, attn_error* error) {
  return call(error, [&] {
    attn_tuner& handle = live(tuner);
    const std::span<const attn::TuneExample> to_train = live(train).all;
    std::span<const attn::TuneExample> to_evaluate;
    if (held_out != nullptr) to_evaluate = live(held_out).all;
    bool asked = false;
    const attn::TuneRunOptions all = run_options(options, asked);
    if (result != nullptr) check_size<attn_run_result>(result->struct_size, "attn_run_result");
    handle.last = attn::tune(handle.tuner, to_train, to_evaluate, all);
    if (result != nullptr) give(result_of(handle), result, "attn_run_result");
    if (handle.last.stopped && !asked) {
      throw attn::Error(attn::ErrorKind::cancelled, "tuning was cancelled");
    }
  });
}

attn_status attn_tuner_save(const attn_tuner* tuner, const char* path, attn_error* error) {
  return call(error, [&] { live(tuner).tuner.save(text(path, "path")); });
}

attn_status attn_tuner_save_checkpoint(const attn_tuner* tuner, const char* path,
                                       attn_error* error) {
  return call(error, [&] { live(tuner).tuner.save_checkpoint(text(path, "path")); });
}

attn_status attn_tuner_resume(attn_tuner* tuner, const char* path, attn_error* error) {
  return call(error, [&] { live(tuner).tuner.resume(text(path, "path")); });
}
