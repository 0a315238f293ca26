/* Tokens, embeddings, attention. */

#include "bindings/c/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int stop_at_once(void* user, int64_t done, int64_t total) {
  int* calls = user;
  CHECK(done >= 1 && done <= total);
  ++*calls;
  return 1;
}

static int go_on(void* user, int64_t done, int64_t total) {
  int64_t* last = user;
  CHECK(done > *last && done <= total);
  *last = done;
  return 0;
}

static void test_tokens(attn_model* model) {
  int32_t tokens[64], again[64];
  size_t count = 0, count_again = 0, length = 0;
  char text[128];
  attn_tokenize_options options;
  const attn_message chat[2] = {{"system", "be small"}, {"user", "the cat"}};
  CHECK(attn_tokenize_options_init(&options, sizeof options) == ATTN_OK);
  options.add_special = 0;

  WORKS(attn_model_tokenize(model, "the elephant", ATTN_NUL_TERMINATED, &options, tokens, 64,
                            &count, &error));
  CHECK(count > 0);
  WORKS(attn_model_detokenize(model, tokens, count, text, sizeof text, &length, &error));
  CHECK(strcmp(text, "the elephant") == 0 && length == 12);
  /* a part of a longer text, without a NUL */
  WORKS(attn_model_tokenize(model, "the elephant!", 12, &options, again, 64, &count_again, &error));
  CHECK(count == count_again && memcmp(tokens, again, count * sizeof tokens[0]) == 0);
  WORKS(attn_model_tokenize(model, NULL, 0, &options, again, 64, &count_again, &error));
  CHECK(count_again == 0);

  /* too little room: what is needed, and nothing written */
  memset(again, 0x55, sizeof again);
  SAYS(ATTN_ROOM, "tokens",
       attn_model_tokenize(model, "the elephant", 12, &options, again, count - 1, &count_again,
                           &error));
  CHECK(count_again == count && again[0] == 0x55555555);
  SAYS(ATTN_ROOM, "tokens",
       attn_model_tokenize(model, "the elephant", 12, &options, NULL, 0, &count_again, &error));
  CHECK(count_again == count);
  text[0] = '?';
  SAYS(ATTN_ROOM, "text", attn_model_detokenize(model, tokens, count, text, 12, &length, &error));
  CHECK(length == 12 && text[0] == '?');
  SAYS(ATTN_USAGE, "tokens",
       attn_model_tokenize(model, "a", 1, &options, NULL, 64, &count_again, &error));
  SAYS(ATTN_USAGE, "count", attn_model_tokenize(model, "a", 1, NULL, again, 64, NULL, &error));
  SAYS(
      ATTN_USAGE, "text",
      attn_model_tokenize(model, NULL, ATTN_NUL_TERMINATED, NULL, again, 64, &count_again, &error));
  SAYS(ATTN_USAGE, "length",
       attn_model_detokenize(model, tokens, count, text, sizeof text, NULL, &error));

  WORKS(attn_model_token_text(model, 1, text, sizeof text, &length, &error));
  CHECK(strcmp(text, "<|im_start|>") == 0);
  /* special tokens in a text are text unless asked */
  WORKS(attn_model_tokenize(model, "<|im_end|>", 10, &options, again, 64, &count_again, &error));
  CHECK(count_again > 1);
  options.parse_special = 1;
  WORKS(attn_model_tokenize(model, "<|im_end|>", 10, &options, again, 64, &count_again, &error));
  CHECK(count_again == 1 && again[0] == 2);

  WORKS(attn_model_tokenize_chat(model, chat, 2, tokens, 64, &count, &error));
  CHECK(count > 4 && tokens[0] == 1);
  SAYS(ATTN_ROOM, "tokens", attn_model_tokenize_chat(model, chat, 2, tokens, 3, &count, &error));
  SAYS(ATTN_USAGE, "messages",
       attn_model_tokenize_chat(model, NULL, 2, tokens, 64, &count, &error));
  SAYS(ATTN_USAGE, "vocabulary", attn_model_encode(model, "a b", tokens, 64, &count, &error));
}

static void test_words(void) {
  attn_model* model = size_loss_model(NULL);
  int32_t tokens[4];
  size_t count = 0;
  char text[8];
  WORKS(attn_model_encode(model, "pink car", tokens, 4, &count, &error));
  CHECK(count == 2 && tokens[0] != tokens[1]);
  SAYS(ATTN_ROOM, "tokens", attn_model_encode(model, "pink car", tokens, 1, &count, &error));
  CHECK(count == 2);
  SAYS(ATTN_INVALID, "zebra", attn_model_encode(model, "pink zebra", tokens, 4, &count, &error));
  SAYS(ATTN_USAGE, "sentence", attn_model_encode(model, NULL, tokens, 4, &count, &error));
  SAYS(ATTN_USAGE, "tokenizer",
       attn_model_tokenize(model, "pink", 4, NULL, tokens, 4, &count, &error));
  SAYS(ATTN_USAGE, "tokenizer",
       attn_model_detokenize(model, tokens, 1, text, sizeof text, &count, &error));
  SAYS(ATTN_USAGE, "chat", attn_model_tokenize_chat(model, NULL, 0, tokens, 4, &count, &error));
  CHECK(attn_model_free(model) == ATTN_OK);
}

static void test_embeddings(void) {
  attn_model* model = open_text_model("bert", NULL);
  attn_model* llama = open_text_model("llama", NULL);
  int32_t ids[2][16];
  const int32_t unknown[1] = {9999};
  attn_tokens texts[2], bad;
  float values[2 * 64], one[64];
  int i, calls = 0;
  int64_t last = 0;
  for (i = 0; i < 2; ++i) {
    WORKS(attn_model_tokenize(model, i == 0 ? "the mouse" : "the large car", ATTN_NUL_TERMINATED,
                              NULL, ids[i], 16, &texts[i].count, &error));
    texts[i].ids = ids[i];
  }
  WORKS(attn_model_embed(model, texts, 2, values, 128, go_on, &last, &error));
  CHECK(last == 2);
  for (i = 0; i < 2; ++i) {
    double square = 0, difference = 0;
    int d;
    WORKS(attn_model_embed(model, &texts[i], 1, one, 64, NULL, NULL, &error));
    for (d = 0; d < 64; ++d) {
      square += (double)values[i * 64 + d] * (double)values[i * 64 + d];
      difference += fabs((double)values[i * 64 + d] - (double)one[d]);
    }
    CHECK(fabs(square - 1) < 1e-5);
    CHECK(difference < 1e-4);
  }
  WORKS(attn_model_embed(model, NULL, 0, NULL, 0, NULL, NULL, &error));
  SAYS(ATTN_ROOM, "128", attn_model_embed(model, texts, 2, values, 127, NULL, NULL, &error));
  SAYS(ATTN_USAGE, "values", attn_model_embed(model, texts, 2, NULL, 128, NULL, NULL, &error));
  SAYS(ATTN_USAGE, "texts", attn_model_embed(model, NULL, 2, values, 128, NULL, NULL, &error));
  SAYS(ATTN_CANCELLED, "progress",
       attn_model_embed(model, texts, 2, values, 128, stop_at_once, &calls, &error));
  CHECK(calls == 1);
  bad.ids = unknown;
  bad.count = 1;
  SAYS(ATTN_INVALID, "9999", attn_model_embed(model, &bad, 1, values, 64, NULL, NULL, &error));
  bad.count = 0;
  SAYS(ATTN_INVALID, "no tokens", attn_model_embed(model, &bad, 1, values, 64, NULL, NULL, &error));
  SAYS(ATTN_USAGE, "encoder", attn_model_embed(llama, texts, 1, values, 64, NULL, NULL, &error));
  CHECK(attn_model_free(model) == ATTN_OK);
  CHECK(attn_model_free(llama) == ATTN_OK);
}

/* Rows sum to 1, and a language model hides what comes after. */
static void check_maps(const float* weights, size_t maps, size_t n, int causal) {
  size_t map, q, k;
  for (map = 0; map < maps; ++map) {
    for (q = 0; q < n; ++q) {
      double sum = 0;
      for (k = 0; k < n; ++k) {
        const float weight = weights[(map * n + q) * n + k];
        sum += (double)weight;
        CHECK(weight >= 0);
        if (causal && k > q) CHECK(weight == 0);
      }
      CHECK(fabs(sum - 1) < 1e-5);
    }
  }
}

static void test_attention(attn_model* llama) {
  const int32_t tokens[5] = {1, 17, 30, 99, 5};
  const int layers[1] = {1}, wrong[1] = {2};
  float all[2 * 4 * 5 * 5], one[4 * 5 * 5];
  size_t needed = 0;
  attn_model* bert = open_text_model("bert", NULL);
  attn_model* teaching = size_loss_model(NULL);
  WORKS(attn_model_attention(llama, tokens, 5, NULL, 0, all, 200, &needed, NULL, NULL, &error));
  CHECK(needed == 200);
  check_maps(all, 8, 5, 1);
  WORKS(attn_model_attention(llama, tokens, 5, layers, 1, one, 100, NULL, NULL, NULL, &error));
  CHECK(memcmp(one, all + 100, sizeof one) == 0);
  WORKS(attn_model_attention(bert, tokens, 5, NULL, 0, all, 200, &needed, NULL, NULL, &error));
  check_maps(all, 8, 5, 0);

  needed = 0;
  SAYS(ATTN_ROOM, "200",
       attn_model_attention(llama, tokens, 5, NULL, 0, all, 199, &needed, NULL, NULL, &error));
  CHECK(needed == 200);
  SAYS(ATTN_USAGE, "layer 2",
       attn_model_attention(llama, tokens, 5, wrong, 1, all, 200, NULL, NULL, NULL, &error));
  SAYS(ATTN_INVALID, "0 tokens",
       attn_model_attention(llama, NULL, 0, NULL, 0, all, 200, NULL, NULL, NULL, &error));
  SAYS(ATTN_USAGE, "weights",
       attn_model_attention(llama, tokens, 5, NULL, 0, NULL, 200, NULL, NULL, NULL, &error));
  SAYS(ATTN_USAGE, "run()",
       attn_model_attention(teaching, tokens, 0, NULL, 0, all, 200, NULL, NULL, NULL, &error));
  CHECK(attn_model_free(bert) == ATTN_OK);
  CHECK(attn_model_free(teaching) == ATTN_OK);
}

void test_text(void) {
  attn_model* llama = open_text_model("llama", NULL);
  test_tokens(llama);
  test_attention(llama);
  CHECK(attn_model_free(llama) == ATTN_OK);
  test_words();
  test_embeddings();
}
