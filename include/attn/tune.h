#ifndef ATTN_TUNE_H
#define ATTN_TUNE_H

/* Tuning from C: low-rank adapters or all weights of a language model or an encoder, and the
 * size-loss task of the teaching model. Rules as in attn/attn.h; docs/training.md says what the
 * tasks are. */

#include "attn/attn.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct attn_examples attn_examples;
typedef struct attn_tuner attn_tuner;

typedef enum attn_task_kind {
  ATTN_TASK_LANGUAGE = 0,  /* the next token */
  ATTN_TASK_ATTENTION = 1, /* to look at chosen tokens */
  ATTN_TASK_SIMILARITY = 2 /* which texts are alike: encoders */
} attn_task_kind;

/* -- Examples -----------------------------------------------------------------------------------
 */

/* One example; what a task does not use stays empty. TuneExample in attn/tune.hpp has the details.
 */
typedef struct attn_example {
  size_t struct_size;
  attn_tokens tokens;
  attn_tokens targets; /* what each position predicts, -1: nothing; empty: the next token */
  attn_tokens words;   /* attention: the word of each token, -1: none */
  attn_tokens look_at; /* attention: the words to be looked at */
  attn_tokens other;   /* similarity: the other text */
  double score;        /* similarity: how alike, in [-1, 1]; NaN, the default: no score */
  const char* name;    /* what errors call it; may be null */
} attn_example;

ATTN_API attn_status attn_example_init(attn_example* example, size_t struct_size);

/* Examples to train or evaluate on: empty at first, or read from a file. */
ATTN_API attn_status attn_examples_create(attn_examples** examples, attn_error* error);
/* Copies one behind those that there are. */
ATTN_API attn_status attn_examples_add(attn_examples* examples, const attn_example* example,
                                       attn_error* error);

typedef struct attn_data_options {
  size_t struct_size;
  int context; /* tokens of an example at most; 0: up to 512, and shorter where the text is */
  const char* const* look_at; /* attention: words, for lines that name none */
  size_t look_at_count;
} attn_data_options;

ATTN_API attn_status attn_data_options_init(attn_data_options* options, size_t struct_size);

/* Text or JSON Lines, as attn-tune reads them (docs/training.md), in the tokens of the model. */
ATTN_API attn_status attn_examples_read(const attn_model* model, attn_task_kind task,
                                        const char* path, const attn_data_options* options,
                                        attn_examples** examples, attn_error* error);
/* Moves a share in (0, 1), chosen by the seed, to new examples to evaluate on. */
ATTN_API attn_status attn_examples_split(attn_examples* examples, double share, uint64_t seed,
                                         attn_examples** held_out, attn_error* error);
ATTN_API attn_status attn_examples_count(const attn_examples* examples, size_t* count,
                                         attn_error* error);
/* Tokens of the longest. */
ATTN_API attn_status attn_examples_longest(const attn_examples* examples, int* tokens,
                                           attn_error* error);
ATTN_API attn_status attn_examples_free(attn_examples* examples);

/* -- Tuners -------------------------------------------------------------------------------------
 */

typedef enum attn_method {
  ATTN_METHOD_LORA = 0, /* factors beside some projections */
  ATTN_METHOD_FULL = 1  /* every weight */
} attn_method;

typedef enum attn_schedule { ATTN_SCHEDULE_CONSTANT = 0, ATTN_SCHEDULE_COSINE = 1 } attn_schedule;

typedef struct attn_tune_options {
  size_t struct_size;
  attn_task_kind task;
  attn_method method;
  int rank;                   /* LoRA: 8 */
  double alpha;               /* 16 */
  double dropout;             /* 0, below 1 */
  const char* const* targets; /* names that modules end in; none: the projections of attention */
  size_t target_count;
  const char* start; /* folder of an adapter to go on from; null: a new one */
  const int* layers; /* attention: whose heads; none: all */
  size_t layer_count;
  const int* heads;
  size_t head_count;
  double beside_language; /* attention: its weight beside the language loss; 0: it alone */
  int context;            /* 512: tokens of an example at most */
  int batch_size;         /* 4: examples that are computed together */
  int accumulate;         /* 1: batches of which an update takes the gradients */
  int64_t steps;          /* updates that the schedule is for; 0: constant only */
  double learning_rate;   /* 1e-4 */
  double weight_decay;    /* 0.01 */
  int scored;             /* 1; similarity: pairs come with scores */
  double clip;            /* norm that all gradients may have; 0: any */
  attn_schedule schedule;
  int64_t warmup; /* updates in which the rate rises */
  attn_precision precision;
  int checkpoint_activations; /* 0; other: less memory, a third more work */
  uint64_t seed;
  size_t memory_limit; /* bytes; 0: any */
} attn_tune_options;

ATTN_API attn_status attn_tune_options_init(attn_tune_options* options, size_t struct_size);

/* What one update did. */
typedef struct attn_tune_step {
  size_t struct_size;
  int64_t step; /* from 1 */
  double loss;  /* before the update */
  double language_loss, attention_loss, looked_at;
  double rate;
  double gradient_norm; /* NaN where gradients are not clipped */
  int64_t tokens;
  double seconds;
} attn_tune_step;

/* How the model does on examples it is not trained on. */
typedef struct attn_tune_evaluation {
  size_t struct_size;
  double loss, perplexity;
  double correlation; /* similarity: Spearman's; NaN without scores */
  double language_loss, attention_loss, looked_at;
  int64_t examples;
} attn_tune_evaluation;

typedef struct attn_tuner_info {
  size_t struct_size;
  int64_t steps; /* updates so far */
  int64_t trained_parameters;
  /* bytes: weights that stay, what is trained, its moments and gradients, work space */
  size_t base_bytes, trained_bytes, moment_bytes, gradient_bytes, activation_bytes;
} attn_tuner_info;

/* Trains beside the model, which stays as it is and may run between steps. */
ATTN_API attn_status attn_tuner_create(attn_model* model, const attn_tune_options* options,
                                       attn_tuner** tuner, attn_error* error);
ATTN_API attn_status attn_tuner_free(attn_tuner* tuner);
ATTN_API attn_status attn_tuner_get_info(const attn_tuner* tuner, attn_tuner_info* info,
                                         attn_error* error);

/* One update from examples [first, first + count), 1 to batch_size * accumulate of them. After
 * ATTN_CANCELLED, by the model's token, the weights are as before. `step` may be null. */
ATTN_API attn_status attn_tuner_step(attn_tuner* tuner, const attn_examples* examples, size_t first,
                                     size_t count, attn_tune_step* step, attn_error* error);
ATTN_API attn_status attn_tuner_evaluate(attn_tuner* tuner, const attn_examples* examples,
                                         attn_tune_evaluation* evaluation, attn_error* error);

typedef struct attn_run_options {
  size_t struct_size;
  int64_t steps;            /* updates; 0: as many as the epochs take */
  int64_t epochs;           /* 1 */
  int shuffle;              /* 1 */
  int64_t evaluate_every;   /* updates; 0: before the first and after the last */
  int patience;             /* evaluations in a row without a better loss; 0: any */
  const char* checkpoints;  /* a folder; null: none */
  int64_t checkpoint_every; /* updates; 0: only where the run is stopped */
  int resume;               /* 0; other: go on from the newest checkpoint */
  /* After every update and every evaluation; other than 0 stops the run. Either may be null. */
  int (*on_step)(void* user, const attn_tune_step* step);
  int (*on_evaluation)(void* user, const attn_tune_evaluation* evaluation, int64_t step);
  void* user;
} attn_run_options;

ATTN_API attn_status attn_run_options_init(attn_run_options* options, size_t struct_size);

/* Borrowed from the tuner until its next call. */
typedef struct attn_run_result {
  size_t struct_size;
  const double* losses; /* one an update, those before resuming included */
  size_t loss_count;
  int64_t steps;        /* that were to be done */
  int64_t resumed_from; /* updates that the checkpoint had */
  double tokens_per_s;
  int stopped; /* a callback or a token ended it */
  int out_of_patience;
  const char* checkpoint; /* the last that was written; empty: none */
} attn_run_result;

/* A whole run on the examples, evaluated on `held_out`, which may be null. One that the token ended
 * returns ATTN_CANCELLED, and has its result all the same. `result` may be null. */
ATTN_API attn_status attn_tuner_run(attn_tuner* tuner, const attn_examples* train,
                                    const attn_examples* held_out, const attn_run_options* options,
                                    attn_run_result* result, attn_error* error);

/* LoRA: a folder in PEFT's layout, for attn_model_options.adapters. Full: a model.bin. */
ATTN_API attn_status attn_tuner_save(const attn_tuner* tuner, const char* path, attn_error* error);
/* Weights, moments and steps; attn_tuner_resume() goes on as if never stopped. */
ATTN_API attn_status attn_tuner_save_checkpoint(const attn_tuner* tuner, const char* path,
                                                attn_error* error);
ATTN_API attn_status attn_tuner_resume(attn_tuner* tuner, const char* path, attn_error* error);

/* -- The teaching model -------------------------------------------------------------------------
 */

typedef struct attn_epoch {
  size_t struct_size;
  int epoch, epochs; /* the first from 0 */
  double loss;       /* before this epoch's update */
  const float* attention_weights;
  size_t token_count;
} attn_epoch;

typedef struct attn_train_options {
  size_t struct_size;
  const char* sentence;          /* null: the model's own */
  const char* const* size_words; /* none: the model's own */
  size_t size_word_count;
  int epochs;           /* 200 */
  double learning_rate; /* 0.001, of Adam */
  /* Once an epoch; other than 0 ends the training after that epoch's update. May be null. */
  int (*on_epoch)(void* user, const attn_epoch* epoch);
  void* user;
} attn_train_options;

ATTN_API attn_status attn_train_options_init(attn_train_options* options, size_t struct_size);

/* Borrowed from the model until it is trained again. */
typedef struct attn_train_result {
  size_t struct_size;
  const double* losses;
  size_t loss_count;
  const float* attention_weights_before; /* [token_count] */
  const float* attention_weights_after;
  size_t token_count;
  double combined_size_weight; /* sum of the size words' weights, after */
  int stopped;
} attn_train_result;

/* Trains a size_loss_attention model in place. After a failure it is as it was. `result` may be
 * null. */
ATTN_API attn_status attn_model_train(attn_model* model, const attn_train_options* options,
                                      attn_train_result* result, attn_error* error);

#ifdef __cplusplus
}
#endif

#endif
