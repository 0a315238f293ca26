#include "kernels/workers.hpp"

#include "attn/error.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <ctime>
#include <thread>
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

TEST_CASE("thousands of short regions each end when all of their chunks are done", "[workers]") {
  for (const int threads : {2, 3, 8}) {
    const auto workers = make_thread_workers(threads);
    for (int region = 0; region < 5000; ++region) {
      // long enough a gap now and then for the threads to fall asleep
      if (region % 1000 == 999) std::this_thread::sleep_for(std::chrono::milliseconds(2));
      int done[5] = {};
      parallel_for(*workers, 5, [&](index_t chunk, int) { done[chunk] = region; });
      for (const int each : done) REQUIRE(each == region);
    }
  }
}

TEST_CASE("two callers at once both get all of their chunks", "[workers]") {
  const auto workers = make_thread_workers(3);
  const auto call = [&] {
    for (int region = 0; region < 2000; ++region) {
      std::atomic<int> sum = 0;
      parallel_for(*workers, 10, [&](index_t chunk, int) { sum += static_cast<int>(chunk); });
      if (sum != 45) return false;
    }
    return true;
  };
  bool other = false;
  std::thread thread([&] { other = call(); });
  CHECK(call());
  thread.join();
  CHECK(other);
}

TEST_CASE("threads that have nothing to do use no processor time", "[workers]") {
  const auto workers = make_thread_workers(2);
  parallel_for(*workers, 4, [](index_t, int) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const std::clock_t before = std::clock();  // of the whole process
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  CHECK(static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC < 0.02);
}

TEST_CASE("a number of threads outside 1..1024 is wrong use", "[workers]") {
  for (const int threads : {-1, 0, 1025}) {
    REQUIRE_THROWS_AS(make_workers(threads), attn::Error);
    REQUIRE_THROWS_AS(make_thread_workers(threads), attn::Error);
  }
  REQUIRE(default_threads() >= 1);
}
