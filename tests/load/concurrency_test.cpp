// Sessions of many threads give the bits that they give one after the other. ThreadSanitizer runs
// this as well (tools/dev tsan -R 'load: ').

#include "load/resources.hpp"
#include "load/sessions.hpp"
#include "support/references.hpp"

#include <catch2/catch.hpp>

using namespace attn::test;

TEST_CASE("sessions of 1 to 64 threads, some of them cancelled, have the bits of a serial run",
          "[load]") {
  const Sessions sessions(data_path(""));
  constexpr std::size_t count = 200;
  const std::vector<std::string> expected = sessions.serial(count);
  REQUIRE(sessions.serial(10) == std::vector(expected.begin(), expected.begin() + 10));
  for (const int threads : {1, 2, 8, 64}) {
    INFO(threads << " threads");
    // 200 for all threads together; with ATTN_LONG=1 for each
    const std::size_t rounds = long_form() ? static_cast<std::size_t>(threads) : 1;
    REQUIRE(sessions.differing(expected, threads, rounds) == 0);
  }
}

TEST_CASE("models on their own threads rest when nobody asks for anything", "[load]") {
  const Sessions sessions(data_path(""), 4);
  const std::vector<std::string> expected = sessions.serial(20);
  REQUIRE(sessions.differing(expected, 8) == 0);
  // a second later not a tick of 10 ms is used in another
  REQUIRE(idle_cpu_seconds() <= 0.01);
}
