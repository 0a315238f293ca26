/* The C API from C, function by function and status by status. */

#include "bindings/c/check.h"

#include <stdio.h>

int main(void) {
  test_models();
  test_text();
  test_generation();
  test_handles();
  test_host();
  test_cancellation();
  test_tuning();
  remove_own_files();
  if (failed_checks() > 0) {
    fprintf(stderr, "%d checks failed\n", failed_checks());
    return 1;
  }
  return 0;
}
