/* The C API from C, function by function and status by status. */

#include "bindings/c/check.h"

#include <limits.h>
#include <malloc.h>
#include <stdio.h>

int main(void) {
  /* freed handles are looked at: the heap's end stays mapped */
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
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
