/* What a host brings of its own: threads, memory, a log. */

#define _POSIX_C_SOURCE 200809L
#include "bindings/c/check.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { pool_threads = 3, rows = 128, width = 64 };

/* -- a pool -------------------------------------------------------------------------------------
 */

typedef struct pool {
  int regions, tasks, inside;
  int backwards; /* one after the other, last first */
} pool;

typedef struct one_task {
  attn_task task;
  void* context;
  int index;
} one_task;

static void* run_task(void* given) {
  one_task* t = given;
  t->task(t->context, t->index);
  return NULL;
}

static void parallel_for(void* user, int tasks, attn_task task, void* context) {
  pool* p = user;
  pthread_t threads[pool_threads];
  one_task all[pool_threads];
  int i;
  CHECK(tasks >= 1 && tasks <= pool_threads);
  CHECK(p->inside++ == 0); /* one region at a time */
  ++p->regions;
  p->tasks += tasks;
  if (p->backwards) {
    for (i = tasks; i-- > 0;) task(context, i);
  } else {
    for (i = 0; i < tasks; ++i) {
      all[i].task = task;
      all[i].context = context;
      all[i].index = i;
      pthread_create(&threads[i], NULL, run_task, &all[i]);
    }
    for (i = 0; i < tasks; ++i) pthread_join(threads[i], NULL);
  }
  --p->inside;
}

static void leaves_all_out(void* user, int tasks, attn_task task, void* context) {
  pool* p = user;
  (void)tasks;
  task(context, -1); /* indices that there are not */
  task(context, pool_threads);
  ++p->regions;
}

/* -- memory -------------------------------------------------------------------------------------
 */

typedef struct memory {
  pthread_mutex_t lock;
  size_t bytes, blocks, most;
  size_t given;   /* blocks, over all */
  size_t failing; /* the blocks after that many are refused; 0: none */
} memory;

static void* allocate(void* user, size_t bytes, size_t alignment) {
  memory* m = user;
  void* data = NULL;
  CHECK(bytes > 0 && alignment >= 64 && (alignment & (alignment - 1)) == 0);
  CHECK(bytes % alignment == 0);
  pthread_mutex_lock(&m->lock);
  if (m->failing == 0 || m->given < m->failing) {
    if (posix_memalign(&data, alignment, bytes) != 0) data = NULL;
  }
  if (data != NULL) {
    memset(data, 0xab, bytes); /* nobody may think of it as zeros */
    ++m->given;
    ++m->blocks;
    m->bytes += bytes;
    if (m->bytes > m->most) m->most = m->bytes;
  }
  pthread_mutex_unlock(&m->lock);
  return data;
}

static void release(void* user, void* data, size_t bytes, size_t alignment) {
  memory* m = user;
  CHECK(data != NULL && alignment >= 64);
  pthread_mutex_lock(&m->lock);
  --m->blocks;
  m->bytes -= bytes;
  pthread_mutex_unlock(&m->lock);
  free(data);
}

static void begin(memory* m) {
  memset(m, 0, sizeof *m);
  pthread_mutex_init(&m->lock, NULL);
}

/* -----------------------------------------------------------------------------------------------
 */

/* The output of attention with eight heads, [rows][width]; freed by the caller. */
static float* attended(const attn_model_options* options) {
  const attn_parameter parameters[] = {{"embedding_size", "64"}, {"num_heads", "8"}};
  attn_model* model = NULL;
  const int64_t shape[2] = {rows, width};
  float* values = malloc(2 * rows * width * sizeof(float));
  attn_input input;
  const attn_output* outputs;
  size_t count, i;
  for (i = 0; i < rows * width; ++i) values[i] = (float)(i * 37 % 101) / 101 - 0.5F;
  input.name = "x";
  input.type = ATTN_F32;
  input.rank = 2;
  input.shape = shape;
  input.data = values;
  WORKS(attn_model_create("multi_head_attention", parameters, 2, 7, options, &model, &error));
  WORKS(attn_model_run(model, &input, 1, &outputs, &count, &error));
  for (i = 0; i < count; ++i) {
    if (strcmp(outputs[i].name, "output") == 0) break;
  }
  if (CHECK(i < count)) memcpy(values, outputs[i].data, rows * width * sizeof(float));
  CHECK(attn_model_free(model) == ATTN_OK);
  return values;
}

static void test_pool(void) {
  attn_model_options options = default_options();
  pool p;
  float *serial, *pooled;
  options.threads = 1;
  serial = attended(&options);
  options.threads = pool_threads;
  options.parallel_for = parallel_for;
  options.parallel_for_user = &p;
  for (memset(&p, 0, sizeof p); p.backwards < 2; ++p.backwards) {
    p.regions = 0;
    pooled = attended(&options);
    CHECK(p.regions > 0 && p.tasks > p.regions);
    CHECK(memcmp(serial, pooled, rows * width * sizeof(float)) == 0);
    free(pooled);
  }
  options.parallel_for = leaves_all_out;
  memset(&p, 0, sizeof p);
  pooled = attended(&options);
  CHECK(p.regions > 0);
  CHECK(memcmp(serial, pooled, rows * width * sizeof(float)) == 0);
  free(pooled);
  free(serial);
}

/* A generator and a tuner on the host's memory; everything of it is given back. */
static void use_text(const attn_model_options* options, attn_status wanted) {
  attn_model* model = open_text_model("llama", options);
  attn_generator* generator = NULL;
  attn_tuner* tuner = NULL;
  attn_examples* examples = NULL;
  attn_example example;
  const int32_t ids[6] = {1, 17, 30, 99, 5, 2};
  attn_generate_options text;
  attn_tune_options tune;
  attn_status status;
  CHECK(attn_generate_options_init(&text, sizeof text) == ATTN_OK);
  text.max_tokens = 4;
  CHECK(attn_tune_options_init(&tune, sizeof tune) == ATTN_OK);
  tune.context = 8;
  CHECK(attn_example_init(&example, sizeof example) == ATTN_OK);
  example.tokens.ids = ids;
  example.tokens.count = 6;
  WORKS(attn_examples_create(&examples, &error));
  WORKS(attn_examples_add(examples, &example, &error));
  status = attn_generator_create(model, NULL, &generator, NULL);
  if (status == ATTN_OK) status = attn_generator_generate(generator, ids, 6, &text, NULL, NULL);
  if (status == ATTN_OK) status = attn_tuner_create(model, &tune, &tuner, NULL);
  if (status == ATTN_OK) status = attn_tuner_step(tuner, examples, 0, 1, NULL, NULL);
  CHECK(status == wanted);
  CHECK(attn_examples_free(examples) == ATTN_OK);
  CHECK(attn_tuner_free(tuner) == ATTN_OK);
  CHECK(attn_generator_free(generator) == ATTN_OK);
  CHECK(attn_model_free(model) == ATTN_OK);
}

static void test_allocator(void) {
  attn_model_options options = default_options();
  attn_model* model = NULL;
  memory m;
  float *plain, *own;
  size_t needed, failing;
  options.threads = 2;
  plain = attended(&options);
  options.allocate = allocate;
  options.release = release;
  options.allocator_user = &m;
  begin(&m);
  own = attended(&options);
  CHECK(m.given > 0 && m.blocks == 0 && m.bytes == 0);
  CHECK(m.most >= rows * width * sizeof(float));
  CHECK(memcmp(plain, own, rows * width * sizeof(float)) == 0);
  free(plain);
  free(own);

  begin(&m);
  use_text(&options, ATTN_OK);
  CHECK(m.given > 0 && m.blocks == 0 && m.bytes == 0);
  needed = m.given;
  for (failing = 1; failing < needed; ++failing) { /* each of them once the first that is refused */
    begin(&m);
    m.failing = failing;
    use_text(&options, ATTN_MEMORY);
    CHECK(m.given == failing && m.blocks == 0 && m.bytes == 0);
  }

  options.release = NULL;
  SAYS(ATTN_USAGE, "allocator",
       attn_model_create("self_attention", NULL, 0, 1, &options, &model, &error));
  CHECK(model == NULL);
}

/* -- a log --------------------------------------------------------------------------------------
 */

typedef struct lines {
  int count, warnings;
  char last[512];
} lines;

static void listen(void* user, attn_log_level level, const char* line) {
  lines* l = user;
  ++l->count;
  if (level == ATTN_LOG_WARNING) ++l->warnings;
  CHECK(strchr(line, '\n') == NULL && line[0] != '\0');
  strncpy(l->last, line, sizeof l->last - 1);
}

static void test_log(void) {
  attn_model_options options = default_options();
  attn_generator* generator = NULL;
  attn_model* model;
  lines l;
  memset(&l, 0, sizeof l);
  options.threads = 1;
  options.log = listen;
  options.log_user = &l;
  model = open_text_model("llama", &options);
  CHECK(l.count == 1 && l.warnings == 0);
  CHECK(strstr(l.last, "llama") != NULL && strstr(l.last, "1 threads") != NULL);
  WORKS(attn_generator_create(model, NULL, &generator, &error));
  CHECK(l.count == 2 && strstr(l.last, "128 tokens") != NULL);
  WORKS(attn_model_save(model, own_path("logged.bin"), &error));
  CHECK(l.count == 3 && strstr(l.last, "logged.bin") != NULL);
  CHECK(attn_generator_free(generator) == ATTN_OK);
  CHECK(attn_model_free(model) == ATTN_OK);
  options.threads = (int)sysconf(_SC_NPROCESSORS_ONLN) + 1;
  model = open_text_model("llama", &options);
  CHECK(l.warnings == 1);
  CHECK(attn_model_free(model) == ATTN_OK);
}

void test_host(void) {
  test_pool();
  test_allocator();
  test_log();
}
