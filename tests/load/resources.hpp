#pragma once

#include <cstddef>

namespace attn::test {

/// Does ATTN_LONG ask for the form that takes minutes?
[[nodiscard]] bool long_form();

/// Of this process: bytes of memory that stand in RAM, open descriptors, threads.
struct Resources {
  std::size_t resident = 0, descriptors = 0, threads = 0;
};
[[nodiscard]] Resources resources();

/// Waits for a second, and tells what CPU time the process then uses in another.
[[nodiscard]] double idle_cpu_seconds();

}  // namespace attn::test
