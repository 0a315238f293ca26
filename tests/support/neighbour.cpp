// A library for tests/tools/neighbours_test.py to load into a Python with numpy: sessions of attn
// beside somebody else's OpenMP.

#include "attn/export.h"
#include "load/sessions.hpp"

#include <cstdint>

using attn::test::Sessions;

extern "C" {

/// Two models, open until attn_test_close(); null for an error.
ATTN_API Sessions* attn_test_open(const char* data) {
  try {
    return new Sessions(data);
  } catch (...) {
    return nullptr;
  }
}

ATTN_API void attn_test_close(Sessions* sessions) { delete sessions; }

/// Sessions by so many threads, each of `count` of them so many rounds; how many did not have the
/// bits of the serial run before, −1 for an error.
ATTN_API std::int64_t attn_test_sessions(const Sessions* sessions, int threads, std::int64_t count,
                                         std::int64_t rounds) {
  try {
    const auto expected = sessions->serial(static_cast<std::size_t>(count));
    return static_cast<std::int64_t>(
        sessions->differing(expected, threads, static_cast<std::size_t>(rounds)));
  } catch (...) {
    return -1;
  }
}

/// What a host may do meanwhile: a sum with an OpenMP team of its own.
ATTN_API double attn_test_other_openmp(std::int64_t count) {
  double sum = 0;
#pragma omp parallel for reduction(+ : sum) schedule(static)
  for (std::int64_t i = 1; i <= count; ++i) sum += 1.0 / static_cast<double>(i);
  return sum;
}
}
