// A pool of std::threads. Between the ops of a forward pass a thread spins for the next region,
// which comes within microseconds; after that it sleeps, so an idle host burns nothing. A caller
// that has run out of chunks closes the region and waits only for threads that are inside a chunk:
// one that the system has not woken yet is not missed.

#include "attn/error.hpp"
#include "kernels/workers.hpp"

#include <atomic>
#include <cstdint>
#include <immintrin.h>
#include <string>
#include <thread>
#include <vector>

namespace attn::kernels {
namespace {

// Pauses before sleeping: some 50 µs, the longest serial op between two regions of a decode step
// and as long as waking a thread takes.
constexpr int spins = 1000;

class ThreadWorkers final : public Workers {
 public:
  explicit ThreadWorkers(int threads)
      // threads that share a processor would spin in the way of the one that works
      : size_(threads), spins_(threads <= default_threads() ? spins : 0) {
    threads_.reserve(static_cast<std::size_t>(threads - 1));
    try {
      for (int worker = 1; worker < threads; ++worker) {
        threads_.emplace_back([this, worker] { serve(worker); });
      }
    } catch (...) {
      stop();
      throw Error(ErrorKind::memory, "threads: the system refused to start " +
                                         std::to_string(threads - 1) + " of them");
    }
  }

  ~ThreadWorkers() override { stop(); }

  [[nodiscard]] int size() const noexcept override { return size_; }

  void run(index_t chunks, Body body, void* context) noexcept override {
    if (taken_.exchange(true, std::memory_order_acquire)) {
      // another thread's region is running: this one stays on its own
      for (index_t chunk = 0; chunk < chunks; ++chunk) body(context, chunk, 0);
      return;
    }
    body_ = body;
    context_ = context;
    chunks_ = chunks;
    next_.store(0, std::memory_order_relaxed);
    // nobody is inside, so the sum is the next generation, open
    state_.store((state_.load(std::memory_order_relaxed) & ~open) + generation + open);
    state_.notify_all();
    work(0);
    state_.fetch_and(~open);
    for (int i = 0; i < spins_ && inside(state_.load(std::memory_order_acquire)); ++i) _mm_pause();
    for (;;) {
      const std::uint32_t left = left_.load(std::memory_order_acquire);
      if (!inside(state_.load(std::memory_order_acquire))) break;
      left_.wait(left, std::memory_order_acquire);
    }
    taken_.store(false, std::memory_order_release);
  }

 private:
  // The state's bits: threads inside the region, whether more may enter, and its generation.
  static constexpr std::uint64_t open = std::uint64_t{1} << 16, generation = open << 1;
  static bool inside(std::uint64_t state) { return (state & (open - 1)) != 0; }

  void work(int worker) noexcept {
    for (;;) {
      const index_t chunk = next_.fetch_add(1, std::memory_order_relaxed);
      if (chunk >= chunks_) return;
      body_(context_, chunk, worker);
    }
  }

  // Waits for a state that differs from `seen` in more than who is inside.
  std::uint64_t changed(std::uint64_t seen) const noexcept {
    for (int i = 0;; ++i) {
      const std::uint64_t state = state_.load(std::memory_order_acquire);
      if ((state & open) != 0 && state / generation != seen) return state;
      if (stopping_.load(std::memory_order_acquire)) return state;
      if (i < spins_) {
        _mm_pause();
      } else {
        state_.wait(state, std::memory_order_acquire);
      }
    }
  }

  void serve(int worker) noexcept {
    std::uint64_t seen = 0;
    for (;;) {
      std::uint64_t state = changed(seen);
      if (stopping_.load(std::memory_order_acquire)) return;
      // what changes the state meanwhile is another thread that enters, or the end of the region
      if (!state_.compare_exchange_strong(state, state + 1, std::memory_order_acquire)) continue;
      seen = state / generation;
      work(worker);
      const std::uint64_t before = state_.fetch_sub(1, std::memory_order_release);
      if (!inside(before - 1) && (before & open) == 0) {
        left_.fetch_add(1, std::memory_order_release);
        left_.notify_one();
      }
    }
  }

  void stop() noexcept {
    stopping_.store(true, std::memory_order_release);
    state_.fetch_add(generation);
    state_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  const int size_;
  const int spins_;
  std::vector<std::thread> threads_;
  Body body_ = nullptr;
  void* context_ = nullptr;
  index_t chunks_ = 0;
  // on lines of their own: threads that wait on one do not slow down the others
  alignas(64) std::atomic<std::uint64_t> state_{0};
  alignas(64) std::atomic<index_t> next_{0};
  alignas(64) std::atomic<std::uint32_t> left_{0};  // how often a region was left empty
  std::atomic<bool> taken_{false}, stopping_{false};
};

}  // namespace

std::unique_ptr<Workers> make_thread_workers(int threads) {
  if (threads < 1 || threads > 1024) {
    throw Error(ErrorKind::usage, "threads: " + std::to_string(threads) + " is not in 1..1024");
  }
  return std::make_unique<ThreadWorkers>(threads);
}

}  // namespace attn::kernels
