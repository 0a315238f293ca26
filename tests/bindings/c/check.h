#ifndef ATTN_TESTS_BINDINGS_C_CHECK_H
#define ATTN_TESTS_BINDINGS_C_CHECK_H

/* What the tests of the C API share. A check that fails is printed and counted, and the test goes
 * on. */

#include "attn/attn.h"
#include "attn/tune.h"

/* Is it true? Gives it back. */
#define CHECK(condition) check((condition) != 0, #condition, __FILE__, __LINE__)
int check(int ok, const char* what, const char* file, int line);
int failed_checks(void);

/* A call that ends so, with an error of that status whose message is one line with `part` in it.
 * The call names the error as &error. */
#define SAYS(wanted, part, call)                                           \
  do {                                                                     \
    attn_error error;                                                      \
    const attn_status got = (call);                                        \
    check_error(got, (wanted), (part), &error, #call, __FILE__, __LINE__); \
  } while (0)
#define WORKS(call) SAYS(ATTN_OK, "", call)
void check_error(attn_status got, attn_status wanted, const char* part, const attn_error* error,
                 const char* call, const char* file, int line);

/* A path below the folder of test data, or below a folder of this run's own, valid for the run. */
const char* data_path(const char* name);
const char* own_path(const char* name);
/* The folder of a tiny model ("llama", "bert") with its tokenizer. */
const char* text_model(const char* name);
void write_text(const char* path, const char* text);
/* A whole file; freed by the caller. */
unsigned char* read_bytes(const char* path, size_t* size);
void remove_own_files(void);

/* Models of the tests, freed by the caller. */
attn_model* open_text_model(const char* name, const attn_model_options* options);
attn_model* size_loss_model(const attn_model_options* options);
attn_model_options default_options(void);
/* Sleeps that many milliseconds. */
void wait_ms(int milliseconds);

void test_models(void);
void test_text(void);
void test_generation(void);
void test_handles(void);
void test_host(void);
void test_cancellation(void);
void test_tuning(void);

#endif
