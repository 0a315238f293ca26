/* Two models in two threads: they never meet, and each says what it says alone.
 *
 *   cc two_models.c $(pkg-config --cflags --libs attn) -pthread -o two_models
 *   ./two_models MODEL [MODEL]
 *
 * Models are language models; one path is opened twice. */

#include <attn/attn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { tokens_wanted = 12 };

typedef struct job {
  const char* path;
  int32_t prompt;
  int32_t tokens[tokens_wanted];
  size_t count;
  attn_error error;
} job;

static void* work(void* given) {
  job* j = given;
  attn_model* model = NULL;
  attn_generator* generator = NULL;
  attn_model_options options;
  attn_generate_options how;
  attn_generation generation;
  attn_model_options_init(&options, sizeof options);
  options.threads = 1;
  attn_generate_options_init(&how, sizeof how);
  how.max_tokens = tokens_wanted;
  how.temperature = 0;
  generation.struct_size = sizeof generation;
  if (attn_model_open(j->path, &options, &model, &j->error) == ATTN_OK &&
      attn_generator_create(model, NULL, &generator, &j->error) == ATTN_OK &&
      attn_generator_generate(generator, &j->prompt, 1, &how, &generation, &j->error) == ATTN_OK) {
    j->count = generation.token_count;
    memcpy(j->tokens, generation.tokens, j->count * sizeof j->tokens[0]);
  }
  attn_generator_free(generator);
  attn_model_free(model);
  return NULL;
}

int main(int argc, char** argv) {
  job alone[2], together[2];
  pthread_t threads[2];
  int i, same = 1;
  if (argc < 2) {
    fprintf(stderr, "usage: two_models MODEL [MODEL]\n");
    return ATTN_USAGE;
  }
  memset(alone, 0, sizeof alone);
  for (i = 0; i < 2; ++i) {
    alone[i].path = argv[i + 1 < argc ? i + 1 : 1];
    alone[i].prompt = 17 + i;
  }
  memcpy(together, alone, sizeof alone);
  for (i = 0; i < 2; ++i) work(&alone[i]);
  for (i = 0; i < 2; ++i) pthread_create(&threads[i], NULL, work, &together[i]);
  for (i = 0; i < 2; ++i) pthread_join(threads[i], NULL);
  for (i = 0; i < 2; ++i) {
    size_t t;
    if (together[i].error.status != ATTN_OK) {
      fprintf(stderr, "two_models: %s\n", together[i].error.message);
      return together[i].error.status;
    }
    for (t = 0; t < together[i].count; ++t) printf("%d ", (int)together[i].tokens[t]);
    printf("\n");
    same = same && together[i].count == alone[i].count &&
           memcmp(together[i].tokens, alone[i].tokens, sizeof alone[i].tokens) == 0;
  }
  printf("the same as one after the other: %s\n", same ? "yes" : "no");
  return same ? 0 : 1;
}
