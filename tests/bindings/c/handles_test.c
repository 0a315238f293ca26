/* Handles that are none, and structs of another size. */

#include "bindings/c/check.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* What every function that takes a handle says to one that is none. */
static void refused(attn_model* model, attn_generator* generator, attn_examples* examples,
                    attn_tuner* tuner, attn_cancel* cancel) {
  attn_model_info info;
  attn_port port;
  attn_generator* new_generator = NULL;
  attn_examples* new_examples = NULL;
  attn_tuner* new_tuner = NULL;
  attn_tuner_info tuner_info;
  attn_tune_evaluation evaluation;
  attn_example example;
  attn_examples* fine = NULL;
  const attn_output* outputs;
  const char* value;
  size_t count;
  int longest;
  int32_t tokens[4];
  char text[8];
  float values[8];
  WORKS(attn_examples_create(&fine, &error));

#define REFUSED(what, call) SAYS(ATTN_BAD_HANDLE, what, call)
  REFUSED("attn_model", attn_model_save(model, "x", &error));
  REFUSED("attn_model", attn_model_get_info(model, &info, &error));
  REFUSED("attn_model", attn_model_metadata(model, "x", &value, &error));
  REFUSED("attn_model", attn_model_port(model, ATTN_INPUT, 0, &port, &error));
  REFUSED("attn_model", attn_model_run(model, NULL, 0, &outputs, &count, &error));
  REFUSED("attn_model", attn_model_tokenize(model, "x", 1, NULL, tokens, 4, &count, &error));
  REFUSED("attn_model", attn_model_tokenize_chat(model, NULL, 0, tokens, 4, &count, &error));
  REFUSED("attn_model", attn_model_detokenize(model, tokens, 0, text, 8, &count, &error));
  REFUSED("attn_model", attn_model_token_text(model, 1, text, 8, &count, &error));
  REFUSED("attn_model", attn_model_encode(model, "x", tokens, 4, &count, &error));
  REFUSED("attn_model", attn_model_embed(model, NULL, 0, values, 8, NULL, NULL, &error));
  REFUSED("attn_model",
          attn_model_attention(model, tokens, 1, NULL, 0, values, 8, NULL, NULL, NULL, &error));
  REFUSED("attn_model", attn_model_train(model, NULL, NULL, &error));
  REFUSED("attn_model", attn_generator_create(model, NULL, &new_generator, &error));
  REFUSED("attn_model", attn_tuner_create(model, NULL, &new_tuner, &error));
  REFUSED("attn_model",
          attn_examples_read(model, ATTN_TASK_LANGUAGE, "x", NULL, &new_examples, &error));
  REFUSED("attn_generator", attn_generator_generate(generator, tokens, 1, NULL, NULL, &error));
  REFUSED("attn_examples", attn_examples_add(examples, &example, &error));
  REFUSED("attn_examples", attn_examples_split(examples, 0.5, 0, &new_examples, &error));
  REFUSED("attn_examples", attn_examples_count(examples, &count, &error));
  REFUSED("attn_examples", attn_examples_longest(examples, &longest, &error));
  REFUSED("attn_tuner", attn_tuner_get_info(tuner, &tuner_info, &error));
  REFUSED("attn_tuner", attn_tuner_step(tuner, fine, 0, 0, NULL, &error));
  REFUSED("attn_tuner", attn_tuner_evaluate(tuner, fine, &evaluation, &error));
  REFUSED("attn_tuner", attn_tuner_run(tuner, fine, NULL, NULL, NULL, &error));
  REFUSED("attn_tuner", attn_tuner_save(tuner, "x", &error));
  REFUSED("attn_tuner", attn_tuner_save_checkpoint(tuner, "x", &error));
  REFUSED("attn_tuner", attn_tuner_resume(tuner, "x", &error));
#undef REFUSED
  CHECK(attn_cancel_request(cancel) == ATTN_BAD_HANDLE);
  CHECK(attn_cancel_reset(cancel) == ATTN_BAD_HANDLE);
  CHECK(new_generator == NULL && new_examples == NULL && new_tuner == NULL);
  CHECK(attn_examples_free(fine) == ATTN_OK);
}

static void test_null(void) {
  refused(NULL, NULL, NULL, NULL, NULL);
  SAYS(ATTN_USAGE, "cancel", attn_cancel_create(NULL, &error));
  CHECK(attn_model_free(NULL) == ATTN_OK);
  CHECK(attn_generator_free(NULL) == ATTN_OK);
  CHECK(attn_examples_free(NULL) == ATTN_OK);
  CHECK(attn_tuner_free(NULL) == ATTN_OK);
  CHECK(attn_cancel_free(NULL) == ATTN_OK);
}

static void test_foreign(void) {
  attn_model* model = size_loss_model(NULL);
  attn_cancel* cancel = NULL;
  attn_model_options options = default_options();
  attn_model* other = NULL;
  void* copy = malloc(sizeof(void*) * 64);
  WORKS(attn_cancel_create(&cancel, &error));
  /* a handle of another kind, for each */
  refused((attn_model*)cancel, (attn_generator*)model, (attn_examples*)model, (attn_tuner*)model,
          (attn_cancel*)model);
  CHECK(attn_model_free((attn_model*)cancel) == ATTN_BAD_HANDLE);
  CHECK(attn_generator_free((attn_generator*)model) == ATTN_BAD_HANDLE);
  CHECK(attn_cancel_free((attn_cancel*)model) == ATTN_BAD_HANDLE);
  /* memory of the caller's, and a copy of a handle's first words */
  memset(copy, 0, sizeof(void*) * 64);
  refused(copy, copy, copy, copy, copy);
  memcpy(copy, model, 2 * sizeof(void*));
  refused(copy, copy, copy, copy, copy);
  /* an address that no handle has */
  refused((attn_model*)((char*)model + 1), copy, copy, copy, copy);
  options.cancel = (attn_cancel*)model;
  SAYS(ATTN_BAD_HANDLE, "attn_cancel",
       attn_model_create("self_attention", NULL, 0, 1, &options, &other, &error));
  free(copy);
  CHECK(attn_cancel_free(cancel) == ATTN_OK);
  CHECK(attn_model_free(model) == ATTN_OK);
}

static void test_freed(void) {
  attn_model* model = open_text_model("llama", NULL);
  attn_generator* generator = NULL;
  attn_examples* examples = NULL;
  attn_tuner* tuner = NULL;
  attn_cancel* cancel = NULL;
  attn_tune_options options;
  WORKS(attn_generator_create(model, NULL, &generator, &error));
  WORKS(attn_examples_create(&examples, &error));
  CHECK(attn_tune_options_init(&options, sizeof options) == ATTN_OK);
  options.context = 8;
  WORKS(attn_tuner_create(model, &options, &tuner, &error));
  WORKS(attn_cancel_create(&cancel, &error));
  CHECK(attn_model_free(model) == ATTN_OK);
  CHECK(attn_model_free(model) == ATTN_BAD_HANDLE);
  CHECK(attn_generator_free(generator) == ATTN_OK);
  CHECK(attn_generator_free(generator) == ATTN_BAD_HANDLE);
  CHECK(attn_tuner_free(tuner) == ATTN_OK);
  CHECK(attn_tuner_free(tuner) == ATTN_BAD_HANDLE);
  CHECK(attn_examples_free(examples) == ATTN_OK);
  CHECK(attn_examples_free(examples) == ATTN_BAD_HANDLE);
  CHECK(attn_cancel_free(cancel) == ATTN_OK);
  CHECK(attn_cancel_free(cancel) == ATTN_BAD_HANDLE);
  refused(model, generator, NULL, tuner, cancel);
}

/* Sizes that no header has had, and one that had less. */
static void test_sizes(void) {
  attn_model* model = NULL;
  attn_model_options options = default_options();
  attn_model_info info;
  attn_generate_options text;
  attn_log sentinel;
  options.struct_size = 0;
  SAYS(ATTN_USAGE, "struct_size is 0",
       attn_model_create("self_attention", NULL, 0, 1, &options, &model, &error));
  options.struct_size = sizeof options + 8;
  SAYS(ATTN_USAGE, "struct_size",
       attn_model_create("self_attention", NULL, 0, 1, &options, &model, &error));
  CHECK(attn_model_options_init(NULL, sizeof options) == ATTN_USAGE);
  CHECK(attn_model_options_init(&options, 1) == ATTN_USAGE);
  CHECK(attn_model_options_init(&options, sizeof options + 1) == ATTN_USAGE);

  /* a caller that knows the first fields only: what is behind them is not read */
  memset(&options, 0x55, sizeof options);
  CHECK(attn_model_options_init(&options, offsetof(attn_model_options, precision)) == ATTN_OK);
  memset(&sentinel, 0x55, sizeof sentinel);
  CHECK(memcmp(&options.log, &sentinel, sizeof sentinel) == 0);
  options.threads = 1;
  WORKS(attn_model_create("self_attention", NULL, 0, 1, &options, &model, &error));
  /* nor written */
  memset(&info, 0x55, sizeof info);
  info.struct_size = offsetof(attn_model_info, threads);
  WORKS(attn_model_get_info(model, &info, &error));
  CHECK(strcmp(info.architecture, "self_attention") == 0 && info.threads == 0x55555555);
  CHECK(info.struct_size == offsetof(attn_model_info, threads));
  info.struct_size = sizeof info + 1;
  SAYS(ATTN_USAGE, "attn_model_info", attn_model_get_info(model, &info, &error));
  CHECK(attn_generate_options_init(&text, offsetof(attn_generate_options, top_k)) == ATTN_OK);
  CHECK(attn_model_free(model) == ATTN_OK);
}

/* A message longer than its room ends at a whole character. */
static void test_long_message(void) {
  char path[2048];
  attn_error error;
  attn_model* model = NULL;
  size_t i, length;
  for (i = 0; i + 2 < sizeof path; i += 2) memcpy(path + i, "\xc3\xa9", 2); /* é */
  path[i] = '\0';
  CHECK(attn_model_open(path, NULL, &model, &error) == ATTN_IO);
  length = strlen(error.message);
  CHECK(length < sizeof error.message && length + 3 > sizeof error.message);
  CHECK((unsigned char)error.message[length - 1] == 0xa9);
}

void test_handles(void) {
  test_null();
  test_foreign();
  test_freed();
  test_sizes();
  test_long_message();
}
