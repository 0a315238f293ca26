/* Opening, running, saving, and what a model says of itself. */

#include "bindings/c/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const float x[12] = {1, 0, 1, 0, 0, 1, 0, 1, 1, 1, 0, 0};

static attn_input input_of(const float* values, const int64_t* shape, int rank) {
  attn_input input;
  input.name = "x";
  input.type = ATTN_F32;
  input.rank = rank;
  input.shape = shape;
  input.data = values;
  return input;
}

/* softmax(x xT / sqrt 4) of the textbook's 3 x 4, computed here */
static void check_attention(const attn_output* weights) {
  int row, column, i;
  CHECK(strcmp(weights->name, "attention_weights") == 0);
  CHECK(weights->rank == 2 && weights->shape[0] == 3 && weights->shape[1] == 3);
  for (row = 0; row < 3; ++row) {
    double scores[3], sum = 0;
    for (column = 0; column < 3; ++column) {
      double score = 0;
      for (i = 0; i < 4; ++i) score += (double)x[row * 4 + i] * (double)x[column * 4 + i];
      scores[column] = exp(score / 2);
      sum += scores[column];
    }
    for (column = 0; column < 3; ++column) {
      CHECK(fabs((double)weights->data[row * 3 + column] - scores[column] / sum) < 1e-6);
    }
  }
}

static void test_run(void) {
  attn_model* model = NULL;
  const int64_t shape[2] = {3, 4}, flat[1] = {12}, huge[2] = {INT64_MAX, INT64_MAX};
  const int64_t large[2] = {INT64_MAX / 2, 1};
  attn_input input = input_of(x, shape, 2);
  const attn_output* outputs = NULL;
  size_t count = 0;
  int i;
  WORKS(attn_model_create("self_attention", NULL, 0, 1, NULL, &model, &error));
  for (i = 0; i < 3; ++i) {
    WORKS(attn_model_run(model, &input, 1, &outputs, &count, &error));
    if (!CHECK(count == 2)) return;
    check_attention(&outputs[0]);
    CHECK(strcmp(outputs[1].name, "output") == 0 && outputs[1].shape[1] == 4);
  }
  CHECK(attn_model_run(model, &input, 1, &outputs, &count, NULL) == ATTN_OK);

  SAYS(ATTN_USAGE, "inputs", attn_model_run(model, NULL, 1, &outputs, &count, &error));
  SAYS(ATTN_USAGE, "missing", attn_model_run(model, NULL, 0, &outputs, &count, &error));
  SAYS(ATTN_USAGE, "outputs", attn_model_run(model, &input, 1, NULL, &count, &error));
  SAYS(ATTN_USAGE, "count", attn_model_run(model, &input, 1, &outputs, NULL, &error));
  input.data = NULL;
  SAYS(ATTN_USAGE, "data", attn_model_run(model, &input, 1, &outputs, &count, &error));
  input = input_of(x, NULL, 2);
  SAYS(ATTN_USAGE, "shape", attn_model_run(model, &input, 1, &outputs, &count, &error));
  input = input_of(x, shape, -1);
  SAYS(ATTN_USAGE, "rank", attn_model_run(model, &input, 1, &outputs, &count, &error));
  input = input_of(x, flat, 1);
  SAYS(ATTN_INVALID, "[12]", attn_model_run(model, &input, 1, &outputs, &count, &error));
  input = input_of(x, huge, 2);
  SAYS(ATTN_INVALID, "address space", attn_model_run(model, &input, 1, &outputs, &count, &error));
  input = input_of(x, large, 2);
  SAYS(ATTN_INVALID, "values", attn_model_run(model, &input, 1, &outputs, &count, &error));
  input = input_of(x, shape, 2);
  input.name = "y";
  SAYS(ATTN_USAGE, "\"y\"", attn_model_run(model, &input, 1, &outputs, &count, &error));
  input.name = NULL;
  SAYS(ATTN_USAGE, "name", attn_model_run(model, &input, 1, &outputs, &count, &error));
  input = input_of(x, shape, 2);
  input.type = ATTN_I32;
  SAYS(ATTN_USAGE, "float", attn_model_run(model, &input, 1, &outputs, &count, &error));
  memset(&input.type, 0x55, sizeof input.type);
  SAYS(ATTN_USAGE, "type", attn_model_run(model, &input, 1, &outputs, &count, &error));
  CHECK(attn_model_free(model) == ATTN_OK);
}

static void test_opening(void) {
  attn_model *model = NULL, *again = NULL;
  attn_model_options options = default_options();
  const char* path = own_path("size-loss.bin");
  const char* value = NULL;
  unsigned char* bytes;
  size_t size, count, count_again;
  int32_t tokens[16];
  attn_input input;
  int64_t shape[1];
  const attn_output *outputs, *outputs_again;

  model = size_loss_model(NULL);
  WORKS(attn_model_save(model, path, &error));
  WORKS(attn_model_encode(model, "The pink elephant tried to get into the car but it was too",
                          tokens, 16, &size, &error));
  CHECK(size == 13);
  input.name = "tokens";
  input.type = ATTN_I32;
  input.rank = 1;
  input.shape = shape;
  shape[0] = (int64_t)size;
  input.data = tokens;
  WORKS(attn_model_run(model, &input, 1, &outputs, &count, &error));

  /* from the file and from memory, the same numbers */
  bytes = read_bytes(path, &size);
  WORKS(attn_model_open(path, NULL, &again, &error));
  WORKS(attn_model_run(again, &input, 1, &outputs_again, &count_again, &error));
  CHECK(count == count_again);
  CHECK(memcmp(outputs[0].data, outputs_again[0].data, 13 * sizeof(float)) == 0);
  CHECK(attn_model_free(again) == ATTN_OK);
  options.verify = 1;
  WORKS(attn_model_open_memory(bytes, size, "in memory", &options, &again, &error));
  WORKS(attn_model_run(again, &input, 1, &outputs_again, &count_again, &error));
  CHECK(memcmp(outputs[0].data, outputs_again[0].data, 13 * sizeof(float)) == 0);
  WORKS(attn_model_metadata(again, "attn.architecture", &value, &error));
  CHECK(value != NULL && strcmp(value, "size_loss_attention") == 0);
  WORKS(attn_model_metadata(again, "nobody", &value, &error));
  CHECK(value == NULL);
  SAYS(ATTN_USAGE, "key", attn_model_metadata(again, NULL, &value, &error));
  CHECK(attn_model_free(again) == ATTN_OK);

  bytes[size - 1] ^= 1; /* the checksum sees it */
  again = NULL;
  SAYS(ATTN_INVALID,
       "in memory: ", attn_model_open_memory(bytes, size, "in memory", &options, &again, &error));
  SAYS(ATTN_INVALID, "cut: ", attn_model_open_memory(bytes, 20, "cut", NULL, &again, &error));
  SAYS(ATTN_INVALID, "", attn_model_open_memory(NULL, 0, "none", NULL, &again, &error));
  SAYS(ATTN_USAGE, "bytes", attn_model_open_memory(NULL, 9, "none", NULL, &again, &error));
  SAYS(ATTN_USAGE, "name", attn_model_open_memory(bytes, size, NULL, NULL, &again, &error));
  SAYS(ATTN_USAGE, "path", attn_model_open(NULL, NULL, &again, &error));
  SAYS(ATTN_USAGE, "model", attn_model_open(path, NULL, NULL, &error));
  SAYS(ATTN_IO, "nothing.bin", attn_model_open(own_path("nothing.bin"), NULL, &again, &error));
  SAYS(ATTN_USAGE, "\"none\"", attn_model_create("none", NULL, 0, 1, NULL, &again, &error));
  SAYS(ATTN_USAGE, "parameters",
       attn_model_create("self_attention", NULL, 1, 1, NULL, &again, &error));
  SAYS(ATTN_USAGE, "architecture", attn_model_create(NULL, NULL, 0, 1, NULL, &again, &error));
  CHECK(again == NULL);
  SAYS(ATTN_IO, "no/folder", attn_model_save(model, "/no/folder/x.bin", &error));
  SAYS(ATTN_USAGE, "path", attn_model_save(model, NULL, &error));
  CHECK(attn_model_free(model) == ATTN_OK);
  free(bytes);

  options = default_options();
  options.threads = 1025;
  SAYS(ATTN_USAGE, "1025", attn_model_open(path, &options, &again, &error));
  options = default_options();
  options.isa = "sse9";
  SAYS(ATTN_USAGE, "sse9", attn_model_open(path, &options, &again, &error));
  options = default_options();
  memset(&options.precision, 0x55, sizeof options.precision);
  SAYS(ATTN_USAGE, "precision", attn_model_open(path, &options, &again, &error));
  options = default_options();
  options.adapter_count = 1;
  SAYS(ATTN_USAGE, "adapters", attn_model_open(path, &options, &again, &error));
}

static void test_info(void) {
  attn_model* model = open_text_model("bert", NULL);
  attn_model_info info;
  attn_port port;
  info.struct_size = sizeof info;
  port.struct_size = sizeof port;
  WORKS(attn_model_get_info(model, &info, &error));
  CHECK(strcmp(info.architecture, "bert") == 0);
  CHECK(info.embeds && info.tokenizes && !info.generates && !info.chats);
  CHECK(info.embedding_width == 64 && info.layers == 2 && info.heads == 4);
  CHECK(info.vocab_size == 256 && info.trained_context == 64 && info.begin_token == -1);
  CHECK(info.parameters > 0 && info.weight_bytes >= 4 * (size_t)info.parameters);
  CHECK(info.threads >= 1 && info.isa[0] != '\0' && info.isa_reason[0] != '\0');
  if (!CHECK(info.inputs == 3 && info.outputs >= 1)) return;
  WORKS(attn_model_port(model, ATTN_INPUT, 0, &port, &error));
  CHECK(strcmp(port.name, "tokens") == 0 && port.type == ATTN_I32);
  CHECK(port.rank == 1 && port.shape[0] == -1);
  WORKS(attn_model_port(model, ATTN_OUTPUT, 0, &port, &error));
  CHECK(port.type == ATTN_F32 && port.rank == 2 && port.shape[1] == 64);
  SAYS(ATTN_USAGE, "3", attn_model_port(model, ATTN_INPUT, 3, &port, &error));
  SAYS(ATTN_USAGE, "direction", attn_model_port(model, (attn_direction)2, 0, &port, &error));
  SAYS(ATTN_USAGE, "attn_port", attn_model_port(model, ATTN_INPUT, 0, NULL, &error));
  SAYS(ATTN_USAGE, "attn_model_info", attn_model_get_info(model, NULL, &error));
  CHECK(attn_model_free(model) == ATTN_OK);

  model = open_text_model("llama", NULL);
  WORKS(attn_model_get_info(model, &info, &error));
  CHECK(info.generates && info.chats && !info.embeds && info.embedding_width == 0);
  CHECK(info.begin_token == 1);
  CHECK(info.end_token_count == 1 && info.end_tokens[0] == 2);
  CHECK(attn_model_free(model) == ATTN_OK);
}

void test_models(void) {
  const char* version = attn_version();
  CHECK(version[0] >= '0' && version[0] <= '9' && strchr(version, '.') != NULL);
  test_run();
  test_opening();
  test_info();
}
