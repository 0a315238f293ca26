/* A host with a thread pool of its own, on which attn computes as well: no second pool, no thread
 * that the host does not know.
 *
 *   cc host_pool.c $(pkg-config --cflags --libs attn) -pthread -o host_pool && ./host_pool MODEL
 *
 * MODEL is a language model. The answer is the same as with attn's own threads, token by token. */

#include <attn/attn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { helpers = 3, tokens_wanted = 16 };

/* The pool: threads that wait for a job of some tasks, and take the next until there are none. */
typedef struct pool {
  pthread_mutex_t lock;
  pthread_cond_t begun, ended;
  pthread_t threads[helpers];
  attn_task task;
  void* context;
  int next, tasks; /* of the job */
  int running;     /* tasks that have begun and not ended */
  int closing;
  long jobs;
} pool;

/* Call it with the lock: does tasks as long as there are any. */
static void help(pool* p) {
  while (p->next < p->tasks) {
    const int index = p->next++;
    attn_task task = p->task;
    void* context = p->context;
    ++p->running;
    pthread_mutex_unlock(&p->lock);
    task(context, index);
    pthread_mutex_lock(&p->lock);
    if (--p->running == 0) pthread_cond_broadcast(&p->ended);
  }
}

static void* serve(void* given) {
  pool* p = given;
  pthread_mutex_lock(&p->lock);
  while (!p->closing) {
    help(p);
    pthread_cond_wait(&p->begun, &p->lock);
  }
  pthread_mutex_unlock(&p->lock);
  return NULL;
}

/* attn's hook. One model calls it for one job at a time. */
static void parallel_for(void* user, int tasks, attn_task task, void* context) {
  pool* p = user;
  pthread_mutex_lock(&p->lock);
  p->task = task;
  p->context = context;
  p->next = 0;
  p->tasks = tasks;
  ++p->jobs;
  pthread_cond_broadcast(&p->begun);
  help(p); /* the caller is one of the threads */
  while (p->running > 0) pthread_cond_wait(&p->ended, &p->lock);
  pthread_mutex_unlock(&p->lock);
}

static void open_pool(pool* p) {
  int i;
  memset(p, 0, sizeof *p);
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->begun, NULL);
  pthread_cond_init(&p->ended, NULL);
  for (i = 0; i < helpers; ++i) pthread_create(&p->threads[i], NULL, serve, p);
}

static void close_pool(pool* p) {
  int i;
  pthread_mutex_lock(&p->lock);
  p->closing = 1;
  pthread_cond_broadcast(&p->begun);
  pthread_mutex_unlock(&p->lock);
  for (i = 0; i < helpers; ++i) pthread_join(p->threads[i], NULL);
}

/* The tokens after the prompt; how many there are, or -1. */
static int generate(const char* path, const attn_model_options* options, int32_t* tokens) {
  static const int32_t prompt[4] = {3, 17, 30, 99};
  attn_error error;
  attn_model* model = NULL;
  attn_generator* generator = NULL;
  attn_generate_options how;
  attn_generation generation;
  int count = -1;
  attn_generate_options_init(&how, sizeof how);
  how.max_tokens = tokens_wanted;
  how.temperature = 0;
  generation.struct_size = sizeof generation;
  if (attn_model_open(path, options, &model, &error) == ATTN_OK &&
      attn_generator_create(model, NULL, &generator, &error) == ATTN_OK &&
      attn_generator_generate(generator, prompt, 4, &how, &generation, &error) == ATTN_OK) {
    count = (int)generation.token_count;
    memcpy(tokens, generation.tokens, generation.token_count * sizeof *tokens);
  } else {
    fprintf(stderr, "host_pool: %s\n", error.message);
  }
  attn_generator_free(generator);
  attn_model_free(model);
  return count;
}

int main(int argc, char** argv) {
  pool p;
  attn_model_options options;
  int32_t ours[tokens_wanted], theirs[tokens_wanted];
  int count, i;
  if (argc != 2) {
    fprintf(stderr, "usage: host_pool MODEL\n");
    return ATTN_USAGE;
  }
  attn_model_options_init(&options, sizeof options);
  options.threads = helpers + 1;
  if ((count = generate(argv[1], &options, theirs)) < 0) return 1;

  open_pool(&p);
  options.parallel_for = parallel_for;
  options.parallel_for_user = &p;
  i = generate(argv[1], &options, ours);
  close_pool(&p);
  if (i != count) return 1;

  for (i = 0; i < count; ++i) printf("%d ", (int)ours[i]);
  printf("\n%d tokens, the same on both pools: %s; %s\n", count,
         memcmp(ours, theirs, (size_t)count * sizeof ours[0]) == 0 ? "yes" : "no",
         p.jobs > 0 ? "the host's pool has worked" : "the host's pool had nothing to do");
  return memcmp(ours, theirs, (size_t)count * sizeof ours[0]) == 0 && p.jobs > 0 ? 0 : 1;
}
