#include "bindings/c/check.h"

#include <math.h>
#include <string.h>

static const int32_t ids[6] = {65, 124, 111, 17, 3, 30};

static void add(attn_examples* examples, int first) {
  attn_example example;
  int32_t tokens[6];
  int i;
  CHECK(attn_example_init(&example, sizeof example) == ATTN_OK);
  for (i = 0; i < 6; ++i) tokens[i] = ids[i] + first;
  example.tokens.ids = tokens;
  example.tokens.count = 6;
  example.name = "mine";
  WORKS(attn_examples_add(examples, &example, &error));
}

static attn_tune_options small_options(void) {
  attn_tune_options options;
  CHECK(attn_tune_options_init(&options, sizeof options) == ATTN_OK);
  CHECK(options.rank == 8 && options.context == 512 && options.learning_rate == 1e-4);
  options.context = 8;
  options.batch_size = 2;
  options.rank = 2;
  options.learning_rate = 1e-2;
  return options;
}

static void test_examples(void) {
  attn_model* model = open_text_model("llama", NULL);
  attn_examples *examples = NULL, *held_out = NULL;
  attn_data_options options;
  attn_example example;
  const char* path = own_path("data.txt");
  size_t count = 0;
  int longest = 0;
  write_text(path,
             "the cat looked at the mouse . the capital of france is paris . "
             "a model learns to write one word after the other .\n");
  CHECK(attn_data_options_init(&options, sizeof options) == ATTN_OK);
  options.context = 8;
  WORKS(attn_examples_read(model, ATTN_TASK_LANGUAGE, path, &options, &examples, &error));
  WORKS(attn_examples_count(examples, &count, &error));
  WORKS(attn_examples_longest(examples, &longest, &error));
  CHECK(count > 2 && longest == 8);
  WORKS(attn_examples_split(examples, 0.4, 1, &held_out, &error));
  {
    size_t train = 0, held = 0;
    WORKS(attn_examples_count(examples, &train, &error));
    WORKS(attn_examples_count(held_out, &held, &error));
    CHECK(train > 0 && held > 0 && train + held == count);
  }
  CHECK(attn_examples_free(held_out) == ATTN_OK);
  held_out = NULL;
  SAYS(ATTN_USAGE, "2", attn_examples_split(examples, 2, 1, &held_out, &error));
  WORKS(attn_examples_count(examples, &count, &error));
  CHECK(count > 0); /* what could not be split is all there */
  CHECK(attn_examples_free(examples) == ATTN_OK);

  /* shorter than the usual context: as it is */
  WORKS(attn_examples_read(model, ATTN_TASK_LANGUAGE, path, NULL, &examples, &error));
  CHECK(attn_examples_free(examples) == ATTN_OK);
  examples = NULL;
  {
    const char* const look_at[] = {"mouse", "cat"};
    const char* sentence = own_path("sentence.txt");
    write_text(sentence, "the cat looked at the mouse\n");
    CHECK(attn_data_options_init(&options, sizeof options) == ATTN_OK);
    options.look_at = look_at;
    options.look_at_count = 2;
    WORKS(attn_examples_read(model, ATTN_TASK_ATTENTION, sentence, &options, &examples, &error));
    CHECK(attn_examples_free(examples) == ATTN_OK);
    examples = NULL;
    options.look_at = NULL;
    SAYS(ATTN_USAGE, "look_at",
         attn_examples_read(model, ATTN_TASK_ATTENTION, sentence, &options, &examples, &error));
    SAYS(ATTN_INVALID, "sentence.txt:1",
         attn_examples_read(model, ATTN_TASK_SIMILARITY, sentence, NULL, &examples, &error));
  }
  SAYS(ATTN_IO, "nothing",
       attn_examples_read(model, ATTN_TASK_LANGUAGE, own_path("nothing"), NULL, &examples, &error));
  SAYS(ATTN_USAGE, "task",
       attn_examples_read(model, (attn_task_kind)3, path, NULL, &examples, &error));
  SAYS(ATTN_USAGE, "examples",
       attn_examples_read(model, ATTN_TASK_LANGUAGE, path, NULL, NULL, &error));
  CHECK(examples == NULL);
  WORKS(attn_examples_create(&examples, &error));
  SAYS(ATTN_USAGE, "example", attn_examples_add(examples, NULL, &error));
  CHECK(attn_example_init(&example, sizeof example) == ATTN_OK);
  CHECK(isnan(example.score));
  example.tokens.count = 1;
  SAYS(ATTN_USAGE, "tokens", attn_examples_add(examples, &example, &error));
  SAYS(ATTN_USAGE, "count", attn_examples_count(examples, NULL, &error));
  SAYS(ATTN_USAGE, "examples", attn_examples_create(NULL, &error));
  CHECK(attn_examples_free(examples) == ATTN_OK);
  CHECK(attn_model_free(model) == ATTN_OK);
}

static void test_steps(void) {
  attn_model* model = open_text_model("llama", NULL);
  attn_examples* examples = NULL;
  attn_tuner *tuner = NULL, *second = NULL, *none = NULL;
  attn_tune_options options = small_options();
  attn_tune_step first, last;
  attn_tune_evaluation before, after;
  attn_tuner_info info;
  const char *adapter = own_path("adapter"), *checkpoint = own_path("checkpoint");
  int i;
  first.struct_size = last.struct_size = sizeof first;
  before.struct_size = after.struct_size = sizeof before;
  info.struct_size = sizeof info;
  WORKS(attn_examples_create(&examples, &error));
  for (i = 0; i < 4; ++i) add(examples, i);
  WORKS(attn_tuner_create(model, &options, &tuner, &error));
  WORKS(attn_tuner_evaluate(tuner, examples, &before, &error));
  CHECK(before.examples == 4 && before.perplexity > 1);
  WORKS(attn_tuner_step(tuner, examples, 0, 2, &first, &error));
  CHECK(first.step == 1 && first.tokens == 12 && isnan(first.gradient_norm));
  for (i = 1; i < 6; ++i) {
    WORKS(attn_tuner_step(tuner, examples, (size_t)(i % 2) * 2, 2, &last, &error));
  }
  CHECK(last.step == 6 && last.rate == options.learning_rate);
  WORKS(attn_tuner_evaluate(tuner, examples, &after, &error));
  CHECK(after.loss < before.loss);
  WORKS(attn_tuner_get_info(tuner, &info, &error));
  CHECK(info.steps == 6 && info.trained_parameters > 0);
  CHECK(info.trained_bytes == 4 * (size_t)info.trained_parameters);
  CHECK(info.moment_bytes == 2 * info.trained_bytes && info.activation_bytes > 0);

  /* another tuner goes on from the checkpoint with the same bits */
  WORKS(attn_tuner_save_checkpoint(tuner, checkpoint, &error));
  WORKS(attn_tuner_create(model, &options, &second, &error));
  WORKS(attn_tuner_resume(second, checkpoint, &error));
  WORKS(attn_tuner_step(tuner, examples, 0, 2, &first, &error));
  WORKS(attn_tuner_step(second, examples, 0, 2, &last, &error));
  CHECK(first.step == 7 && last.step == 7 && first.loss == last.loss);
  SAYS(ATTN_IO, "nothing", attn_tuner_resume(second, own_path("nothing"), &error));

  /* the adapter changes what the model says */
  WORKS(attn_tuner_save(tuner, adapter, &error));
  {
    attn_model* adapted = NULL;
    attn_adapter one;
    attn_model_options opening = default_options();
    one.folder = adapter;
    one.scale = 1;
    opening.adapters = &one;
    opening.adapter_count = 1;
    WORKS(attn_model_open(text_model("llama"), &opening, &adapted, &error));
    SAYS(ATTN_USAGE, "adapters", attn_model_save(adapted, own_path("x.bin"), &error));
    CHECK(attn_model_free(adapted) == ATTN_OK);
    one.folder = NULL;
    SAYS(ATTN_USAGE, "folder", attn_model_open(text_model("llama"), &opening, &adapted, &error));
  }

  SAYS(ATTN_USAGE, "5", attn_tuner_step(tuner, examples, 0, 5, NULL, &error));
  SAYS(ATTN_USAGE, "from 3", attn_tuner_step(tuner, examples, 3, 2, NULL, &error));
  SAYS(ATTN_USAGE, "from", attn_tuner_step(tuner, examples, 1, (size_t)-1, NULL, &error));
  SAYS(ATTN_INVALID, "no examples", attn_tuner_step(tuner, examples, 0, 0, NULL, &error));
  last.struct_size = 3;
  SAYS(ATTN_USAGE, "attn_tune_step", attn_tuner_step(tuner, examples, 0, 2, &last, &error));
  SAYS(ATTN_USAGE, "evaluation", attn_tuner_evaluate(tuner, examples, NULL, &error));
  SAYS(ATTN_BAD_HANDLE, "attn_examples", attn_tuner_step(tuner, NULL, 0, 1, NULL, &error));
  options = small_options();
  options.learning_rate = -1;
  SAYS(ATTN_USAGE, "learning rate", attn_tuner_create(model, &options, &none, &error));
  options = small_options();
  options.memory_limit = 1000;
  SAYS(ATTN_MEMORY, "limit is 1000", attn_tuner_create(model, &options, &none, &error));
  CHECK(none == NULL);
  CHECK(attn_model_free(model) == ATTN_OK); /* the tuners keep what they need */
  WORKS(attn_tuner_evaluate(second, examples, &after, &error));
  CHECK(attn_tuner_free(tuner) == ATTN_OK);
  CHECK(attn_tuner_free(second) == ATTN_OK);
  CHECK(attn_examples_free(examples) == ATTN_OK);
}

typedef struct seen {
  int steps, evaluations, enough;
} seen;

static int on_step(void* user, const attn_tune_step* step) {
  seen* s = user;
  CHECK(step->struct_size == sizeof *step && step->step == ++s->steps);
  return s->steps == s->enough;
}

static int on_evaluation(void* user, const attn_tune_evaluation* evaluation, int64_t step) {
  seen* s = user;
  CHECK(evaluation->examples == 2 && step >= 0);
  ++s->evaluations;
  return 0;
}

static void test_run(void) {
  attn_model* model = open_text_model("llama", NULL);
  attn_examples *train = NULL, *held_out = NULL;
  attn_tuner* tuner = NULL;
  attn_tune_options options = small_options();
  attn_run_options run;
  attn_run_result result;
  seen s;
  int i;
  memset(&s, 0, sizeof s);
  result.struct_size = sizeof result;
  WORKS(attn_examples_create(&train, &error));
  WORKS(attn_examples_create(&held_out, &error));
  for (i = 0; i < 6; ++i) add(i < 4 ? train : held_out, i);
  CHECK(attn_run_options_init(&run, sizeof run) == ATTN_OK);
  CHECK(run.epochs == 1 && run.shuffle == 1);
  run.epochs = 3;
  run.checkpoints = own_path("checkpoints");
  run.on_step = on_step;
  run.on_evaluation = on_evaluation;
  run.user = &s;
  s.enough = 4;
  WORKS(attn_tuner_create(model, &options, &tuner, &error));
  WORKS(attn_tuner_run(tuner, train, held_out, &run, &result, &error));
  CHECK(result.stopped && result.loss_count == 4 && result.steps == 6 && s.evaluations == 1);
  CHECK(result.checkpoint[0] != '\0');
  CHECK(attn_tuner_free(tuner) == ATTN_OK);

  s.enough = 0;
  run.resume = 1;
  WORKS(attn_tuner_create(model, &options, &tuner, &error));
  WORKS(attn_tuner_run(tuner, train, held_out, &run, &result, &error));
  CHECK(!result.stopped && result.resumed_from == 4 && result.loss_count == 6 && s.steps == 6);
  CHECK(result.losses[5] < result.losses[0]);
  run.resume = 0;
  SAYS(ATTN_USAGE, "resume", attn_tuner_run(tuner, train, NULL, &run, NULL, &error));
  SAYS(ATTN_BAD_HANDLE, "attn_examples", attn_tuner_run(tuner, NULL, NULL, &run, NULL, &error));
  CHECK(attn_tuner_free(tuner) == ATTN_OK);
  CHECK(attn_examples_free(train) == ATTN_OK);
  CHECK(attn_examples_free(held_out) == ATTN_OK);
  CHECK(attn_model_free(model) == ATTN_OK);
}

static int count_epochs(void* user, const attn_epoch* epoch) {
  int* epochs = user;
  CHECK(epoch->epoch == *epochs && epoch->token_count == 13);
  return ++*epochs == 150;
}

static void test_training(void) {
  attn_model* model = size_loss_model(NULL);
  attn_model* llama = open_text_model("llama", NULL);
  attn_train_options options;
  attn_train_result result;
  double sum = 0;
  size_t i;
  int epochs = 0;
  result.struct_size = sizeof result;
  CHECK(attn_train_options_init(&options, sizeof options) == ATTN_OK);
  CHECK(options.epochs == 200 && options.learning_rate == 0.001);
  options.learning_rate = 0.01;
  options.on_epoch = count_epochs;
  options.user = &epochs;
  WORKS(attn_model_train(model, &options, &result, &error));
  CHECK(epochs == 150 && result.stopped && result.loss_count == 150 && result.token_count == 13);
  CHECK(result.losses[149] < result.losses[0]);
  for (i = 0; i < 13; ++i) sum += (double)result.attention_weights_after[i];
  CHECK(fabs(sum - 1) < 1e-5);
  CHECK(result.combined_size_weight > 0 && result.combined_size_weight <= 1 + 1e-5);
  options.on_epoch = NULL;
  options.learning_rate = 1e30;
  SAYS(ATTN_NUMERICAL, "loss", attn_model_train(model, &options, NULL, &error));
  options.learning_rate = 0;
  SAYS(ATTN_USAGE, "learning rate", attn_model_train(model, &options, NULL, &error));
  options.learning_rate = 0.01;
  options.sentence = "The pink zebra";
  SAYS(ATTN_INVALID, "zebra", attn_model_train(model, &options, NULL, &error));
  SAYS(ATTN_USAGE, "llama", attn_model_train(llama, NULL, NULL, &error));
  CHECK(attn_model_free(model) == ATTN_OK);
  CHECK(attn_model_free(llama) == ATTN_OK);
}

void test_tuning(void) {
  test_examples();
  test_steps();
  test_run();
  test_training();
}
