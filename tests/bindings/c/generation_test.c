#include "bindings/c/check.h"

#include <string.h>

static const int32_t prompt[5] = {65, 124, 111, 17, 3};

typedef struct heard {
  int tokens, enough;
  int32_t ids[64];
  char text[512];
  int64_t read;
} heard;

static int on_token(void* user, int32_t token, const char* text, size_t length) {
  heard* h = user;
  CHECK(strlen(text) == length);
  h->ids[h->tokens] = token;
  strcat(h->text, text);
  return ++h->tokens == h->enough;
}

static int on_prompt(void* user, int64_t done, int64_t total) {
  heard* h = user;
  CHECK(done > h->read && done <= total);
  h->read = done;
  return 0;
}

static int refuse(void* user, int64_t done, int64_t total) {
  (void)user;
  (void)done;
  (void)total;
  return 1;
}

static attn_generate_options greedy(int tokens) {
  attn_generate_options options;
  CHECK(attn_generate_options_init(&options, sizeof options) == ATTN_OK);
  CHECK(options.temperature > 0 && options.max_tokens == -1); /* the facade's defaults */
  options.max_tokens = tokens;
  options.temperature = 0;
  return options;
}

void test_generation(void) {
  attn_model* model = open_text_model("llama", NULL);
  attn_model* bert = open_text_model("bert", NULL);
  attn_generator *generator = NULL, *other = NULL;
  attn_generator_options settings;
  attn_generate_options options = greedy(12);
  attn_generation first, again;
  int32_t ids[12];
  char text[512], piece[512];
  const char* stops[1];
  size_t length = 0;
  heard h;
  first.struct_size = again.struct_size = sizeof first;
  CHECK(attn_generator_options_init(&settings, sizeof settings) == ATTN_OK);
  settings.context = 64;
  settings.batch = 2;
  WORKS(attn_generator_create(model, &settings, &generator, &error));

  memset(&h, 0, sizeof h);
  options.on_token = on_token;
  options.on_prompt = on_prompt;
  options.user = &h;
  WORKS(attn_generator_generate(generator, prompt, 5, &options, &first, &error));
  if (!CHECK(first.token_count > 0 && first.token_count <= 12)) return;
  CHECK(h.read == 5 && first.prompt_tokens == 5 && first.reused == 0);
  CHECK(h.tokens >= (int)first.token_count);
  CHECK(memcmp(h.ids, first.tokens, first.token_count * sizeof ids[0]) == 0);
  CHECK(strcmp(h.text, first.text) == 0 && strlen(first.text) == first.text_length);
  memcpy(ids, first.tokens, first.token_count * sizeof ids[0]);
  strcpy(text, first.text);

  /* the same again, from what is read; and by another generator, whose model's handle is gone */
  options = greedy(12);
  WORKS(attn_generator_generate(generator, prompt, 5, &options, &again, &error));
  CHECK(again.reused == 4);
  CHECK(again.token_count == first.token_count);
  CHECK(memcmp(ids, again.tokens, again.token_count * sizeof ids[0]) == 0);
  WORKS(attn_generator_create(model, NULL, &other, &error));
  CHECK(attn_model_free(model) == ATTN_OK);
  WORKS(attn_generator_generate(other, prompt, 5, &options, &again, &error));
  CHECK(memcmp(ids, again.tokens, again.token_count * sizeof ids[0]) == 0);

  /* a callback that has heard enough, one that refuses the prompt, a text that ends it */
  memset(&h, 0, sizeof h);
  h.enough = 3;
  options.on_token = on_token;
  options.user = &h;
  WORKS(attn_generator_generate(generator, prompt, 5, &options, &again, &error));
  CHECK(again.finish == ATTN_FINISH_STOPPED && again.token_count == 3);
  options = greedy(12);
  options.on_prompt = refuse;
  SAYS(ATTN_CANCELLED, "progress",
       attn_generator_generate(generator, prompt, 3, &options, &again, &error));
  options = greedy(12);
  strcpy(piece, text + (strlen(text) > 4 ? 2 : 0));
  piece[2] = '\0'; /* two bytes out of the middle */
  stops[0] = piece;
  options.stop = stops;
  options.stop_count = 1;
  WORKS(attn_generator_generate(generator, prompt, 5, &options, &again, &error));
  CHECK(again.finish == ATTN_FINISH_STOP_STRING && strstr(again.text, piece) == NULL);
  options = greedy(0);
  WORKS(attn_generator_generate(generator, prompt, 5, &options, NULL, &error));

  SAYS(ATTN_USAGE, "prompt", attn_generator_generate(generator, NULL, 5, NULL, NULL, &error));
  options = greedy(2);
  options.temperature = -1;
  SAYS(ATTN_USAGE, "temperature",
       attn_generator_generate(generator, prompt, 5, &options, NULL, &error));
  options = greedy(2);
  options.stop_count = 1;
  SAYS(ATTN_USAGE, "stop", attn_generator_generate(generator, prompt, 5, &options, NULL, &error));
  ids[0] = 9999;
  SAYS(ATTN_INVALID, "9999", attn_generator_generate(generator, ids, 1, NULL, NULL, &error));
  CHECK(attn_generator_free(generator) == ATTN_OK);

  generator = NULL;
  SAYS(ATTN_USAGE, "bert", attn_generator_create(bert, NULL, &generator, &error));
  WORKS(attn_model_tokenize(bert, "the cat", ATTN_NUL_TERMINATED, NULL, ids, 12, &length, &error));
  memset(&settings.kv_type, 0x55, sizeof settings.kv_type);
  SAYS(ATTN_USAGE, "kv_type", attn_generator_create(bert, &settings, &generator, &error));
  SAYS(ATTN_USAGE, "generator", attn_generator_create(bert, NULL, NULL, &error));
  CHECK(generator == NULL);
  CHECK(attn_generator_free(other) == ATTN_OK);
  CHECK(attn_model_free(bert) == ATTN_OK);
}
