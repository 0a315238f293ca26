#include "kernels/workers.hpp"

#include "attn/error.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <vector>

using namespace attn::kernels;

namespace {

void covers_every_chunk_once(Workers& workers) {
  for (const index_t chunks : {0, 1, 2, 7, 1000}) {
    std::vector<std::atomic<int>> seen(static_cast<std::size_t>(chunks));
    std::vector<std::atomic<int>> inside(static_cast<std::size_t>(workers.size()));
    std::atomic<bool> overlapped = false;
    parallel_for(workers, chunks, [&](index_t chunk, int worker) {
      if (inside[static_cast<std::size_t>(worker)]++ != 0) overlapped = true;
      seen[static_cast<std::size_t>(chunk)]++;
      inside[static_cast<std::size_t>(worker)]--;
    });
    REQUIRE_FALSE(overlapped);
    for (const auto& count : seen) REQUIRE(count == 1);
  }
}

}  // namespace

TEST_CASE("every chunk runs once, whatever the backend and the number of threads", "[workers]") {
  covers_every_chunk_once(serial_workers());
  for (const int threads : {1, 2, 3, 8}) {
    covers_every_chunk_once(*make_workers(threads));
    covers_every_chunk_once(*make_thread_workers(threads));
  }
}

TEST_CASE("a number of threads outside 1..1024 is wrong use", "[workers]") {
  for (const int threads : {-1, 0, 1025}) {
    REQUIRE_THROWS_AS(make_workers(threads), attn::Error);
    REQUIRE_THROWS_AS(make_thread_workers(threads), attn::Error);
  }
  REQUIRE(default_threads() >= 1);
}
