#ifndef ATTN_ATTN_H
#define ATTN_ATTN_H

/* attn from C: open a model, run it, generate text, embed, look at attention, save. Tuning stands
 * in attn/tune.h. C99 and C++; docs/c-api.md is the tour.
 *
 * Status. A function that can fail returns one, and tells more in the attn_error of the caller's,
 * if there is one (null: not wanted). Nothing is kept in the process or in a thread.
 *
 * Handles are opaque, and freed by the function named so, for which null is nothing to do. Where a
 * handle is asked for, null, a handle of another kind and one that was freed give ATTN_BAD_HANDLE,
 * as far as that can be seen: memory that was freed and is used for another handle by now, or that
 * is not there at all, cannot be told. What is made of a model keeps what it needs of it: handles
 * are freed in any order.
 *
 * Memory. What comes out goes into the caller's buffers, or is borrowed from a handle: valid until
 * the handle's next call, or until it is freed. A buffer that is too small gives ATTN_ROOM, says
 * how much there has to be (of attn_model_embed() it is known beforehand), and is not written.
 *
 * Structs that may grow begin with struct_size, the sizeof that the caller was compiled with. Their
 * *_init(&options, sizeof options) sets it and the defaults; options of null are the defaults. Of a
 * struct that comes out only struct_size is set before the call.
 *
 * Threads. A handle is used by one thread at a time, but for attn_cancel, and for text and tokens
 * of a model (attn_model_tokenize() to attn_model_token_text()). Handles of one model that are not
 * the model itself may be used in several threads at the same time; different models never meet.
 *
 * Callbacks come from the thread that called, but for the thread pool's and the allocator's. A C++
 * exception in one ends the call with ATTN_UNEXPECTED, or ATTN_MEMORY where it says that there is
 * none; after one in parallel_for the library does the tasks itself, and release may not throw.
 * They do not call the handle that called. */

#include "attn/export.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum attn_status {
  ATTN_OK = 0,
  ATTN_BAD_HANDLE = 1, /* null, freed, or of another kind */
  ATTN_USAGE = 2,      /* the caller asked for something that makes no sense */
  ATTN_INVALID = 3,    /* a model, a file's content or data is not what it has to be */
  ATTN_IO = 4,         /* the operating system refused to read or write */
  ATTN_MEMORY = 5,     /* not enough memory, or more than a limit allows */
  ATTN_NUMERICAL = 6,  /* a NaN or infinity where a number was needed */
  ATTN_ROOM = 7,       /* a buffer of the caller's is too small */
  ATTN_UNEXPECTED = 8, /* an exception that is not the library's, as from a callback in C++ */
  ATTN_CANCELLED = 130 /* another thread, or a callback, asked for an end */
} attn_status;

/* What went wrong: one line that names what is known of file, field, offset, value and limit, cut
 * where it is longer. After ATTN_OK it is empty. */
typedef struct attn_error {
  attn_status status;
  char message[1020];
} attn_error;

typedef struct attn_cancel attn_cancel;
typedef struct attn_model attn_model;
typedef struct attn_generator attn_generator;

/* "0.1.0" */
ATTN_API const char* attn_version(void);

/* -- Cancellation ------------------------------------------------------------------------------ */

/* A token that ends, from any thread, what others have begun under it: those calls return
 * ATTN_CANCELLED after the op that they are in, and so does every later one until the reset. */
ATTN_API attn_status attn_cancel_create(attn_cancel** cancel, attn_error* error);
/* These two may be called in a signal handler, too. */
ATTN_API attn_status attn_cancel_request(attn_cancel* cancel);
ATTN_API attn_status attn_cancel_reset(attn_cancel* cancel);
/* What it is the token of keeps its state: cancelled, for good, if it was. */
ATTN_API attn_status attn_cancel_free(attn_cancel* cancel);

/* How far a long call is: done of total, in tokens or texts. Other than 0 ends it: ATTN_CANCELLED.
 */
typedef int (*attn_progress)(void* user, int64_t done, int64_t total);

/* -- What a host may bring of its own -----------------------------------------------------------
 */

/* The host's threads in place of the library's own: calls task(context, index) once for each index
 * in [0, tasks), in any order, on any threads, several at a time or one after the other, and
 * returns when all calls have returned and their results are seen by the caller. A model makes one
 * such call at a time; models in several threads make them at the same time. */
typedef void (*attn_task)(void* context, int index);
typedef void (*attn_parallel_for)(void* user, int tasks, attn_task task, void* context);

/* The host's memory for what is large; attn/host.hpp says what that is, and what is not covered. At
 * least `bytes`, aligned to a power of two up to 2 MiB, which divides `bytes`; null: there is none.
 * release gets what allocate gave, with what it was asked for. From any thread. */
typedef void* (*attn_allocate)(void* user, size_t bytes, size_t alignment);
typedef void (*attn_release)(void* user, void* data, size_t bytes, size_t alignment);

typedef enum attn_log_level {
  ATTN_LOG_DEBUG = 0,
  ATTN_LOG_INFO = 1,   /* opened, written, made ready */
  ATTN_LOG_WARNING = 2 /* works, but not as well as it could */
} attn_log_level;

/* One line without a line feed, valid during the call. */
typedef void (*attn_log)(void* user, attn_log_level level, const char* line);

/* -- Models -------------------------------------------------------------------------------------
 */

/* How exactly products are computed. */
typedef enum attn_precision {
  ATTN_PRECISION_AUTOMATIC = 0, /* by the weights' type */
  ATTN_PRECISION_F32 = 1,
  ATTN_PRECISION_BF16 = 2
} attn_precision;

/* An adapter (LoRA) in a folder as PEFT writes it; its scale is times its own. */
typedef struct attn_adapter {
  const char* folder;
  double scale;
} attn_adapter;

typedef struct attn_model_options {
  size_t struct_size;
  int threads;     /* 1 to 1024; 0: the processors that affinity and the control group allow */
  const char* isa; /* scalar, avx2, avx512 or amx; null: ATTN_ISA, else the best of this CPU */
  int verify;      /* other than 0: compare the checksum, and refuse weights that are not finite */
  attn_precision precision;
  const attn_adapter* adapters; /* added to the projections, all at once */
  size_t adapter_count;
  attn_parallel_for parallel_for; /* null: threads of the library's own */
  void* parallel_for_user;
  attn_allocate allocate; /* both or none */
  attn_release release;
  void* allocator_user;
  attn_log log; /* null: nobody listens */
  void* log_user;
  attn_cancel* cancel; /* ends what is computed with the model; null: nothing does */
} attn_model_options;

ATTN_API attn_status attn_model_options_init(attn_model_options* options, size_t struct_size);

/* A model.bin, a GGUF file or a folder in the Hugging Face layout, mapped and not copied. */
ATTN_API attn_status attn_model_open(const char* path, const attn_model_options* options,
                                     attn_model** model, attn_error* error);
/* A model.bin or GGUF file in memory, which is not copied: it stays as it is until the model and
 * all that was made of it are freed. `name` stands in messages. */
ATTN_API attn_status attn_model_open_memory(const void* bytes, size_t size, const char* name,
                                            const attn_model_options* options, attn_model** model,
                                            attn_error* error);

typedef struct attn_parameter {
  const char* key;
  const char* value;
} attn_parameter;

/* A new model with random weights, the same everywhere for a seed; Model::create() in attn/attn.hpp
 * says which parameters an architecture has. */
ATTN_API attn_status attn_model_create(const char* architecture, const attn_parameter* parameters,
                                       size_t count, uint64_t seed,
                                       const attn_model_options* options, attn_model** model,
                                       attn_error* error);
ATTN_API attn_status attn_model_free(attn_model* model);

/* Writes a model.bin, atomically: the file is the old one or the new one, never a part. */
ATTN_API attn_status attn_model_save(const attn_model* model, const char* path, attn_error* error);

typedef struct attn_model_info {
  size_t struct_size;
  const char* architecture; /* strings and tokens: borrowed until the model is freed */
  const char* isa;          /* level that it runs at, and why */
  const char* isa_reason;
  int threads;
  int64_t parameters;
  size_t weight_bytes;
  size_t inputs, outputs; /* of attn_model_run(): see attn_model_port() */
  int generates, embeds, tokenizes, chats;
  int64_t vocab_size;
  int64_t trained_context; /* tokens; of an encoder what it truncates text to */
  int layers, heads;       /* of attn_model_attention(); 0 where run() gives the weights */
  int64_t embedding_width; /* of attn_model_embed(), else 0 */
  int32_t begin_token;     /* -1: none */
  const int32_t* end_tokens;
  size_t end_token_count;
} attn_model_info;

ATTN_API attn_status attn_model_get_info(attn_model* model, attn_model_info* info,
                                         attn_error* error);
/* The value of a key of the metadata, borrowed until the model is trained or freed; null: no such
 * key. */
ATTN_API attn_status attn_model_metadata(const attn_model* model, const char* key,
                                         const char** value, attn_error* error);

typedef enum attn_type { ATTN_F32 = 0, ATTN_I32 = 1 } attn_type;
typedef enum attn_direction { ATTN_INPUT = 0, ATTN_OUTPUT = 1 } attn_direction;

/* An input or output. A dimension that may be any number is -1; an input that may come with or
 * without a batch is listed without. Borrowed until the model is freed. */
typedef struct attn_port {
  size_t struct_size;
  const char* name;
  attn_type type;
  int rank;
  const int64_t* shape;
} attn_port;

ATTN_API attn_status attn_model_port(attn_model* model, attn_direction direction, size_t index,
                                     attn_port* port, attn_error* error);

/* Row-major numbers (ATTN_F32) or token ids (ATTN_I32) under the name of an input. */
typedef struct attn_input {
  const char* name;
  attn_type type;
  int rank;
  const int64_t* shape;
  const void* data;
} attn_input;

/* Row-major numbers, where the model has them. */
typedef struct attn_output {
  const char* name;
  int rank;
  const int64_t* shape;
  const float* data;
} attn_output;

/* Runs the model once. The outputs are borrowed from it until it runs or is trained again. */
ATTN_API attn_status attn_model_run(attn_model* model, const attn_input* inputs, size_t input_count,
                                    const attn_output** outputs, size_t* output_count,
                                    attn_error* error);

/* -- Text and tokens, of models with a tokenizer ------------------------------------------------
 */

/* As the length of a text: it ends with a NUL. */
#define ATTN_NUL_TERMINATED ((size_t)-1)

typedef struct attn_tokenize_options {
  size_t struct_size;
  int add_special;   /* 1: what the tokenizer adds itself, a begin token, [CLS] and [SEP] */
  int parse_special; /* 0: special tokens spelled out in the text are text */
  int truncate;      /* 0; of an encoder: to what it was made for, the special tokens kept */
} attn_tokenize_options;

ATTN_API attn_status attn_tokenize_options_init(attn_tokenize_options* options, size_t struct_size);

/* Ids of a text of UTF-8. *count is how many there are, also after ATTN_ROOM. */
ATTN_API attn_status attn_model_tokenize(const attn_model* model, const char* text, size_t length,
                                         const attn_tokenize_options* options, int32_t* tokens,
                                         size_t capacity, size_t* count, attn_error* error);

/* One message of a conversation: system, user or assistant. */
typedef struct attn_message {
  const char* role;
  const char* content;
} attn_message;

/* The conversation in the model's chat template, and the beginning of an answer. */
ATTN_API attn_status attn_model_tokenize_chat(const attn_model* model, const attn_message* messages,
                                              size_t message_count, int32_t* tokens,
                                              size_t capacity, size_t* count, attn_error* error);

/* The text of the tokens, without special ones and ids that the tokenizer does not have, ended by a
 * NUL, for which there has to be room. *length does not count it. */
ATTN_API attn_status attn_model_detokenize(const attn_model* model, const int32_t* tokens,
                                           size_t count, char* text, size_t capacity,
                                           size_t* length, attn_error* error);
/* One token as a label: " elephant"; a special one by its name; its number without a tokenizer. */
ATTN_API attn_status attn_model_token_text(const attn_model* model, int32_t token, char* text,
                                           size_t capacity, size_t* length, attn_error* error);

/* Of a model with a vocabulary of words: the ids of a sentence's. As attn_model_tokenize(). */
ATTN_API attn_status attn_model_encode(const attn_model* model, const char* sentence,
                                       int32_t* tokens, size_t capacity, size_t* count,
                                       attn_error* error);

/* -- Encoders, and where tokens look ------------------------------------------------------------
 */

typedef struct attn_tokens {
  const int32_t* ids;
  size_t count;
} attn_tokens;

/* One row of embedding_width numbers for each text, normalised as the model says. `capacity` is of
 * floats, and has to be text_count * embedding_width; progress may be null. */
ATTN_API attn_status attn_model_embed(attn_model* model, const attn_tokens* texts,
                                      size_t text_count, float* values, size_t capacity,
                                      attn_progress progress, void* user, attn_error* error);

/* The weights [layers][heads][query][key] of `count` tokens, in the chosen layers (0 layers: all of
 * the model's), 0 where a key is hidden. `capacity` is of floats; *needed, which may be null, says
 * how many there are. */
ATTN_API attn_status attn_model_attention(attn_model* model, const int32_t* tokens, size_t count,
                                          const int* layers, size_t layer_count, float* weights,
                                          size_t capacity, size_t* needed, attn_progress progress,
                                          void* user, attn_error* error);

/* -- Generation ---------------------------------------------------------------------------------
 */

typedef enum attn_kv_type { ATTN_KV_F32 = 0, ATTN_KV_BF16 = 1, ATTN_KV_Q8_0 = 2 } attn_kv_type;

typedef struct attn_generator_options {
  size_t struct_size;
  int context; /* tokens of prompt and answer; 0: what it was trained on, at most 4096 */
  int batch;   /* 512: tokens of the prompt that are read at a time */
  attn_kv_type kv_type;
  attn_cancel* cancel; /* in place of the model's */
} attn_generator_options;

ATTN_API attn_status attn_generator_options_init(attn_generator_options* options,
                                                 size_t struct_size);

/* Reads and writes text with a language model, and keeps what it has read: a prompt that begins
 * like the last one is read from where it differs. Several of one model may run in several threads.
 */
ATTN_API attn_status attn_generator_create(const attn_model* model,
                                           const attn_generator_options* options,
                                           attn_generator** generator, attn_error* error);
ATTN_API attn_status attn_generator_free(attn_generator* generator);

/* A new token, and the text that it completes: empty while a character or a stop string is open;
 * `length` bytes and a NUL. Not called for the end token; once more for the last one where text was
 * held back that no stop string followed. Other than 0 ends the answer (ATTN_FINISH_STOPPED), and
 * is the last call. */
typedef int (*attn_on_token)(void* user, int32_t token, const char* text, size_t length);

typedef struct attn_generate_options {
  size_t struct_size;
  int max_tokens;     /* -1: until the model ends its text or the context is full; 0: only read */
  double temperature; /* 0.8; 0: the likeliest token, always */
  int top_k;          /* only the k likeliest; 0: off */
  double top_p;       /* 0.95: only the likeliest that together reach this; 1: off */
  double min_p;       /* 0.05: only those at least this fraction of the likeliest; 0: off */
  double repeat_penalty;   /* 1: off; above, recent tokens become less likely */
  int repeat_window;       /* 64: tokens that are recent */
  uint64_t seed;           /* 0; the same seed makes the same choices on every machine */
  const char* const* stop; /* texts that end the answer, and do not appear in it */
  size_t stop_count;
  int lookup; /* 0; other: guess tokens by what was read before, which changes no token */
  attn_on_token on_token;  /* null: nobody listens */
  attn_progress on_prompt; /* tokens of the prompt that are read */
  void* user;              /* of both callbacks */
} attn_generate_options;

ATTN_API attn_status attn_generate_options_init(attn_generate_options* options, size_t struct_size);

typedef enum attn_finish {
  ATTN_FINISH_END_TOKEN = 0,
  ATTN_FINISH_STOP_STRING = 1,
  ATTN_FINISH_LENGTH = 2,
  ATTN_FINISH_CONTEXT_FULL = 3,
  ATTN_FINISH_STOPPED = 4 /* by on_token */
} attn_finish;

/* Borrowed from the generator until its next call. */
typedef struct attn_generation {
  size_t struct_size;
  const int32_t* tokens; /* the end token included */
  size_t token_count;
  const char* text; /* of the tokens, as on_token was told; ended by a NUL */
  size_t text_length;
  attn_finish finish;
  size_t prompt_tokens;   /* with the begin token, where none was given */
  int reused;             /* of them, those that the cache still held */
  int forwards;           /* runs of the model after the prompt */
  int proposed, accepted; /* tokens that lookup guessed, and those that came true */
  double prompt_seconds, decode_seconds;
} attn_generation;

/* `generation` may be null. After ATTN_CANCELLED and other failures the generator goes on from what
 * it has read. */
ATTN_API attn_status attn_generator_generate(attn_generator* generator, const int32_t* prompt,
                                             size_t count, const attn_generate_options* options,
                                             attn_generation* generation, attn_error* error);

#ifdef __cplusplus
}
#endif

#endif
