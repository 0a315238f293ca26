#include "attn/tune.h"
#include "bindings/c/handles.hpp"
#include "bindings/c/structs.hpp"

using namespace attn::c;

namespace {

attn_train_options train_defaults() noexcept {
  const attn::TrainOptions from;
  attn_train_options options{};
  options.struct_size = sizeof options;
  options.epochs = from.epochs;
  options.learning_rate = from.learning_rate;
  return options;
}

attn::TrainOptions train_options(const attn_train_options& c) {
  attn::TrainOptions options;
  options.epochs = c.epochs;
  options.learning_rate = c.learning_rate;
  if (c.on_epoch == nullptr) return options;
  options.on_epoch = [f = c.on_epoch, user = c.user](const attn::EpochReport& report) {
    const attn_epoch epoch{sizeof epoch,
                           report.epoch,
                           report.epochs,
                           report.loss,
                           report.attention_weights.data(),
                           report.attention_weights.size()};
    return f(user, &epoch) == 0;
  };
  return options;
}

}  // namespace

attn_status attn_train_options_init(attn_train_options* options, size_t struct_size) {
  return init(options, struct_size, train_defaults());
}

attn_status attn_model_train(attn_model* model, const attn_train_options* options,
                             attn_train_result* result, attn_error* error) {
  return call(error, [&] {
    attn_model& handle = live(model);
    const attn_train_options c = taken(options, train_defaults(), "attn_train_options");
    attn::SizeLossTask task;
    task.sentence = text_or_none(c.sentence);
    for (const char* const each : array(c.size_words, c.size_word_count, "size_words")) {
      task.size_words.emplace_back(text(each, "size_words"));
    }
    if (result != nullptr) check_size<attn_train_result>(result->struct_size, "attn_train_result");
    handle.trained = handle.model->train(task, train_options(c));
    if (result == nullptr) return;
    const attn::TrainResult& done = handle.trained;
    attn_train_result all{};
    all.losses = done.losses.data();
    all.loss_count = done.losses.size();
    all.attention_weights_before = done.attention_weights_before.data();
    all.attention_weights_after = done.attention_weights_after.data();
    all.token_count = done.tokens.size();
    all.combined_size_weight = done.combined_size_weight;
    all.stopped = done.stopped ? 1 : 0;
    give(all, result, "attn_train_result");
  });
}
