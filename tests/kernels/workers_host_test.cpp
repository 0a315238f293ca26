#include "kernels/workers_host.hpp"

#include "attn/error.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

using namespace attn::kernels;

namespace {

using Task = void (*)(void*, int);

void threaded(int tasks, Task task, void* context) {
  std::vector<std::thread> threads;
  threads.reserve(static_cast<std::size_t>(tasks));
  for (int i = 0; i < tasks; ++i) threads.emplace_back(task, context, i);
  for (std::thread& thread : threads) thread.join();
}

void backwards(int tasks, Task task, void* context) {
  for (int i = tasks; i-- > 0;) task(context, i);
}

void some(int tasks, Task task, void* context) {
  if (tasks > 1) task(context, 1);
}

void foreign_indices(int tasks, Task task, void* context) {
  task(context, -1);
  task(context, tasks);
}

void throwing(int, Task task, void* context) {
  task(context, 0);
  throw std::runtime_error("no more");
}

void covers_every_chunk_once(int threads, const HostParallelFor& host) {
  const auto workers = make_host_workers(threads, host);
  CHECK(workers->size() == threads);
  for (const index_t chunks : {2, 3, 7, 1000}) {
    std::vector<std::atomic<int>> seen(static_cast<std::size_t>(chunks));
    std::vector<std::atomic<int>> inside(static_cast<std::size_t>(threads));
    std::atomic<bool> overlapped = false;
    parallel_for(*workers, chunks, [&](index_t chunk, int worker) {
      if (inside[static_cast<std::size_t>(worker)]++ != 0) overlapped = true;
      seen[static_cast<std::size_t>(chunk)]++;
      inside[static_cast<std::size_t>(worker)]--;
    });
    REQUIRE_FALSE(overlapped);
    for (const auto& count : seen) REQUIRE(count == 1);
  }
}

}  // namespace

TEST_CASE("on a host's threads every chunk runs once, however the host takes it", "[workers]") {
  for (const int threads : {2, 3, 8}) {
    for (const HostParallelFor& host :
         {HostParallelFor(threaded), HostParallelFor(backwards), HostParallelFor(some),
          HostParallelFor(foreign_indices), HostParallelFor(throwing)}) {
      covers_every_chunk_once(threads, host);
    }
  }
}

TEST_CASE("a host has one region at a time, of no more tasks than chunks", "[workers]") {
  std::atomic<int> inside = 0;
  bool overlapped = false, too_many = false;
  const auto workers = make_host_workers(4, [&](int tasks, Task task, void* context) {
    if (inside++ != 0) overlapped = true;
    if (tasks > 3) too_many = true;
    backwards(tasks, task, context);
    --inside;
  });
  const auto call = [&] {
    for (int region = 0; region < 500; ++region) {
      std::atomic<int> sum = 0;
      parallel_for(*workers, 3, [&](index_t chunk, int) { sum += static_cast<int>(chunk); });
      if (sum != 3) return false;
    }
    return true;
  };
  bool other = false;
  std::thread thread([&] { other = call(); });
  CHECK(call());
  thread.join();
  CHECK(other);
  CHECK_FALSE(overlapped);
  CHECK_FALSE(too_many);
}

TEST_CASE("a number of a host's threads outside 1..1024 is wrong use", "[workers]") {
  for (const int threads : {-1, 0, 1025}) {
    REQUIRE_THROWS_AS(make_host_workers(threads, backwards), attn::Error);
  }
}
