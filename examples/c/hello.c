/* Opens a model and does what it is for: generates, embeds, or looks where its tokens look.
 *
 *   cc hello.c $(pkg-config --cflags --libs attn) -o hello && ./hello MODEL [TEXT] */

#include <attn/attn.h>
#include <stdio.h>
#include <stdlib.h>

static int fail(const attn_error* error) {
  fprintf(stderr, "hello: %s\n", error->message);
  return error->status;
}

static int print_token(void* user, int32_t token, const char* text, size_t length) {
  (void)user;
  (void)token;
  fwrite(text, 1, length, stdout);
  fflush(stdout);
  return 0; /* go on */
}

/* What the model says after the text, up to 24 tokens. */
static int generate(attn_model* model, const int32_t* tokens, size_t count) {
  attn_error error;
  attn_generator* generator = NULL;
  attn_generate_options options;
  attn_generation generation;
  if (attn_generator_create(model, NULL, &generator, &error) != ATTN_OK) return fail(&error);
  attn_generate_options_init(&options, sizeof options);
  options.max_tokens = 24;
  options.temperature = 0; /* the likeliest token, always */
  options.on_token = print_token;
  generation.struct_size = sizeof generation;
  if (attn_generator_generate(generator, tokens, count, &options, &generation, &error) == ATTN_OK) {
    printf("\n%zu tokens after %zu\n", generation.token_count, generation.prompt_tokens);
  }
  attn_generator_free(generator);
  return error.status == ATTN_OK ? 0 : fail(&error);
}

/* Its embedding, of length 1: the first numbers, and the square of the length. */
static int embed(attn_model* model, size_t width, const int32_t* tokens, size_t count) {
  attn_error error;
  attn_tokens text;
  double square = 0;
  size_t i;
  float* values = malloc(width * sizeof *values);
  if (values == NULL) return ATTN_MEMORY;
  text.ids = tokens;
  text.count = count;
  if (attn_model_embed(model, &text, 1, values, width, NULL, NULL, &error) == ATTN_OK) {
    for (i = 0; i < width; ++i) square += (double)values[i] * (double)values[i];
    printf("%zu tokens, %zu numbers: %.4f %.4f %.4f ...; length %.4f\n", count, width,
           (double)values[0], (double)values[1], (double)values[2], square);
  }
  free(values);
  return error.status == ATTN_OK ? 0 : fail(&error);
}

/* A teaching model of one input [n, d]: runs it on 3 rows of 4, or of what it takes. */
static int run(attn_model* model) {
  attn_error error;
  attn_port port;
  attn_input input;
  const attn_output* outputs = NULL;
  size_t count = 0, i;
  int64_t shape[2] = {3, 4};
  float* values;
  port.struct_size = sizeof port;
  if (attn_model_port(model, ATTN_INPUT, 0, &port, &error) != ATTN_OK) return fail(&error);
  if (port.type != ATTN_F32 || port.rank != 2) {
    fprintf(stderr, "hello: this model takes something else than rows of numbers\n");
    return ATTN_USAGE;
  }
  if (port.shape[1] > 0) shape[1] = port.shape[1];
  values = malloc((size_t)(shape[0] * shape[1]) * sizeof *values);
  if (values == NULL) return ATTN_MEMORY;
  for (i = 0; i < (size_t)(shape[0] * shape[1]); ++i) values[i] = (float)(i % 3) - 1;
  input.name = port.name;
  input.type = ATTN_F32;
  input.rank = 2;
  input.shape = shape;
  input.data = values;
  if (attn_model_run(model, &input, 1, &outputs, &count, &error) == ATTN_OK) {
    for (i = 0; i < count; ++i) {
      printf("%s: %.4f ...\n", outputs[i].name, (double)outputs[i].data[0]);
    }
  }
  free(values);
  return error.status == ATTN_OK ? 0 : fail(&error);
}

int main(int argc, char** argv) {
  const char* text = argc > 2 ? argv[2] : "The pink elephant";
  attn_error error;
  attn_model* model = NULL;
  attn_model_info info;
  int32_t tokens[512];
  size_t count = 0;
  int status = 0;
  if (argc < 2) {
    fprintf(stderr, "usage: hello MODEL [TEXT]\n");
    return ATTN_USAGE;
  }
  if (attn_model_open(argv[1], NULL, &model, &error) != ATTN_OK) return fail(&error);
  info.struct_size = sizeof info;
  if (attn_model_get_info(model, &info, &error) != ATTN_OK) {
    attn_model_free(model);
    return fail(&error);
  }
  printf("attn %s: %s, %lld parameters, %s, %d threads\n", attn_version(), info.architecture,
         (long long)info.parameters, info.isa, info.threads);
  if (!info.tokenizes) {
    status = run(model);
  } else if (attn_model_tokenize(model, text, ATTN_NUL_TERMINATED, NULL, tokens, 512, &count,
                                 &error) != ATTN_OK) {
    status = fail(&error);
  } else if (info.generates) {
    status = generate(model, tokens, count);
  } else {
    status = embed(model, (size_t)info.embedding_width, tokens, count);
  }
  attn_model_free(model);
  return status;
}
