/* Ending from another thread, or from a callback, what is under way. */

#define _POSIX_C_SOURCE 200809L
#include "bindings/c/check.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { texts = 150, most_calls = 100000 };

static const int32_t ids[8] = {65, 124, 111, 17, 3, 30, 31, 5};

/* Everything that can be cancelled, under one token. */
typedef struct works {
  attn_cancel* cancel;
  attn_model *llama, *bert, *teaching, *heads;
  attn_generator* generator;
  attn_tuner* tuner;
  attn_examples* examples;
  attn_tokens many[texts];
} works;

static attn_status generate(works* w) {
  attn_generate_options options;
  CHECK(attn_generate_options_init(&options, sizeof options) == ATTN_OK);
  options.max_tokens = 100;
  return attn_generator_generate(w->generator, ids, 8, &options, NULL, NULL);
}

static attn_status run(works* w) {
  static float values[64 * 64];
  const int64_t shape[2] = {64, 64};
  const attn_output* outputs;
  size_t count;
  attn_input input;
  input.name = "x";
  input.type = ATTN_F32;
  input.rank = 2;
  input.shape = shape;
  input.data = values;
  return attn_model_run(w->heads, &input, 1, &outputs, &count, NULL);
}

static attn_status embed(works* w) {
  static float values[texts * 64];
  return attn_model_embed(w->bert, w->many, texts, values, texts * 64, NULL, NULL, NULL);
}

static attn_status look(works* w) {
  static float weights[2 * 4 * 8 * 8];
  return attn_model_attention(w->llama, ids, 8, NULL, 0, weights, 512, NULL, NULL, NULL, NULL);
}

static attn_status train(works* w) { return attn_model_train(w->teaching, NULL, NULL, NULL); }

static attn_status step(works* w) {
  return attn_tuner_step(w->tuner, w->examples, 0, 1, NULL, NULL);
}

static void* request_soon(void* given) {
  wait_ms(20);
  CHECK(attn_cancel_request(given) == ATTN_OK);
  return NULL;
}

static void cancelled_from_a_thread(works* w, attn_status (*work)(works*)) {
  pthread_t thread;
  attn_status status = ATTN_OK;
  int calls;
  pthread_create(&thread, NULL, request_soon, w->cancel);
  for (calls = 0; calls < most_calls && status == ATTN_OK; ++calls) status = work(w);
  pthread_join(thread, NULL);
  CHECK(status == ATTN_CANCELLED);
  CHECK(work(w) == ATTN_CANCELLED); /* until the reset */
  CHECK(attn_cancel_reset(w->cancel) == ATTN_OK);
  CHECK(work(w) == ATTN_OK);
}

static int request_after_three(void* user, int32_t token, const char* text, size_t length) {
  static int tokens = 0;
  works* w = user;
  (void)token;
  (void)text;
  (void)length;
  CHECK(tokens < 3); /* no token comes after the request */
  if (++tokens == 3) CHECK(attn_cancel_request(w->cancel) == ATTN_OK);
  return 0;
}

static int request_at_progress(void* user, int64_t done, int64_t total) {
  works* w = user;
  CHECK(done < total); /* it is not the last batch, and none comes after it */
  CHECK(attn_cancel_request(w->cancel) == ATTN_OK);
  return 0;
}

static int request_at_step(void* user, const attn_tune_step* done) {
  works* w = user;
  if (done->step == 2) CHECK(attn_cancel_request(w->cancel) == ATTN_OK);
  return 0;
}

static int request_at_epoch(void* user, const attn_epoch* epoch) {
  works* w = user;
  if (epoch->epoch == 5) CHECK(attn_cancel_request(w->cancel) == ATTN_OK);
  return 0;
}

/* In the middle of a call, and not only before the next. */
static void test_middle(works* w) {
  attn_generate_options options;
  attn_run_options run_options;
  attn_run_result result;
  attn_train_options train_options;
  attn_train_result trained, untouched;
  attn_model* fresh;
  static float values[texts * 64];
  CHECK(attn_generate_options_init(&options, sizeof options) == ATTN_OK);
  options.max_tokens = 100;
  options.temperature = 0;
  options.on_token = request_after_three;
  options.user = w;
  SAYS(ATTN_CANCELLED, "cancelled",
       attn_generator_generate(w->generator, ids, 8, &options, NULL, &error));
  CHECK(attn_cancel_reset(w->cancel) == ATTN_OK);

  SAYS(ATTN_CANCELLED, "cancelled",
       attn_model_embed(w->bert, w->many, texts, values, texts * 64, request_at_progress, w,
                        &error));
  CHECK(attn_cancel_reset(w->cancel) == ATTN_OK);

  CHECK(attn_run_options_init(&run_options, sizeof run_options) == ATTN_OK);
  run_options.steps = 50;
  run_options.on_step = request_at_step;
  run_options.user = w;
  result.struct_size = sizeof result;
  SAYS(ATTN_CANCELLED, "cancelled",
       attn_tuner_run(w->tuner, w->examples, NULL, &run_options, &result, &error));
  CHECK(result.stopped && result.loss_count == 2 && result.steps == 50);
  CHECK(attn_cancel_reset(w->cancel) == ATTN_OK);

  CHECK(attn_train_options_init(&train_options, sizeof train_options) == ATTN_OK);
  train_options.on_epoch = request_at_epoch;
  train_options.user = w;
  SAYS(ATTN_CANCELLED, "cancelled", attn_model_train(w->teaching, &train_options, NULL, &error));
  CHECK(attn_cancel_reset(w->cancel) == ATTN_OK);
  /* the model is as it was: the first loss is what it would have been */
  train_options.on_epoch = NULL;
  train_options.epochs = 1;
  trained.struct_size = sizeof trained;
  WORKS(attn_model_train(w->teaching, &train_options, &trained, &error));
  fresh = size_loss_model(NULL);
  untouched.struct_size = sizeof untouched;
  WORKS(attn_model_train(fresh, &train_options, &untouched, &error));
  CHECK(trained.loss_count == 1 && untouched.loss_count == 1 &&
        trained.losses[0] == untouched.losses[0]);
  CHECK(attn_model_free(fresh) == ATTN_OK);
}

/* A generator's own token ends nothing else of its model. */
static void test_own_token(works* w) {
  attn_cancel* own = NULL;
  attn_generator* generator = NULL;
  attn_generator_options options;
  WORKS(attn_cancel_create(&own, &error));
  CHECK(attn_generator_options_init(&options, sizeof options) == ATTN_OK);
  options.cancel = own;
  WORKS(attn_generator_create(w->llama, &options, &generator, &error));
  CHECK(attn_cancel_request(own) == ATTN_OK);
  SAYS(ATTN_CANCELLED, "cancelled", attn_generator_generate(generator, ids, 8, NULL, NULL, &error));
  CHECK(generate(w) == ATTN_OK);
  CHECK(attn_cancel_free(own) == ATTN_OK); /* the generator keeps what it needs of it */
  CHECK(attn_generator_generate(generator, ids, 8, NULL, NULL, NULL) == ATTN_CANCELLED);
  CHECK(attn_generator_free(generator) == ATTN_OK);
}

void test_cancellation(void) {
  works w;
  attn_model_options options = default_options();
  attn_tune_options tune;
  attn_example example;
  const attn_parameter parameters[] = {{"embedding_size", "64"}, {"num_heads", "8"}};
  int i;
  memset(&w, 0, sizeof w);
  WORKS(attn_cancel_create(&w.cancel, &error));
  options.threads = 2;
  options.cancel = w.cancel;
  w.llama = open_text_model("llama", &options);
  w.bert = open_text_model("bert", &options);
  w.teaching = size_loss_model(&options);
  WORKS(attn_model_create("multi_head_attention", parameters, 2, 1, &options, &w.heads, &error));
  WORKS(attn_generator_create(w.llama, NULL, &w.generator, &error));
  CHECK(attn_tune_options_init(&tune, sizeof tune) == ATTN_OK);
  tune.context = 8;
  tune.batch_size = 1;
  WORKS(attn_tuner_create(w.llama, &tune, &w.tuner, &error));
  WORKS(attn_examples_create(&w.examples, &error));
  CHECK(attn_example_init(&example, sizeof example) == ATTN_OK);
  example.tokens.ids = ids;
  example.tokens.count = 8;
  WORKS(attn_examples_add(w.examples, &example, &error));
  for (i = 0; i < texts; ++i) {
    w.many[i].ids = ids;
    w.many[i].count = 8;
  }

  test_middle(&w);
  cancelled_from_a_thread(&w, generate);
  cancelled_from_a_thread(&w, run);
  cancelled_from_a_thread(&w, embed);
  cancelled_from_a_thread(&w, look);
  cancelled_from_a_thread(&w, train);
  cancelled_from_a_thread(&w, step);
  test_own_token(&w);

  CHECK(attn_examples_free(w.examples) == ATTN_OK);
  CHECK(attn_tuner_free(w.tuner) == ATTN_OK);
  CHECK(attn_generator_free(w.generator) == ATTN_OK);
  CHECK(attn_model_free(w.heads) == ATTN_OK);
  CHECK(attn_model_free(w.teaching) == ATTN_OK);
  CHECK(attn_model_free(w.bert) == ATTN_OK);
  CHECK(attn_model_free(w.llama) == ATTN_OK);
  CHECK(attn_cancel_free(w.cancel) == ATTN_OK);
}
