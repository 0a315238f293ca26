// A pool of std::threads, which take chunks as shares.hpp has it. Between the ops of a forward pass
// a thread spins for the next region, which comes within microseconds; after that it sleeps, so an
// idle host burns nothing. A caller that has run out of chunks closes the region and waits only for
// threads that are inside a chunk: one that the system has not woken yet is not missed.

#include "attn/error.hpp"
#include "kernels/shares.hpp"
#include "kernels/workers.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <immintrin.h>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <vector>

namespace attn::kernels {
namespace {

// Pauses before sleeping: some 50 µs, the longest serial op between two regions of a decode step
// and as long as waking a thread takes.
constexpr int spins = 1000;

/// The process that it was made in: a child of fork() finds the page empty, which needs no call of
/// the system to see (MADV_WIPEONFORK, Linux 4.14).
class Birthplace {
 public:
  Birthplace()
      : page_(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    if (page_ == MAP_FAILED) throw std::bad_alloc();
    *static_cast<char*>(page_) = 1;
    ::madvise(page_, size, MADV_WIPEONFORK);
  }
  ~Birthplace() { ::munmap(page_, size); }
  Birthplace(const Birthplace&) = delete;
  Birthplace& operator=(const Birthplace&) = delete;

  [[nodiscard]] bool left() const noexcept {
    return *static_cast<const volatile char*>(page_) == 0;
  }

 private:
  static constexpr std::size_t size = 1;  // rounded up to a page
  void* page_;
};

class ThreadWorkers final : public Workers {
 public:
  explicit ThreadWorkers(int threads)
      // threads that share a processor would spin in the way of the one that works
      : spins_(threads <= default_threads() ? spins : 0), shares_(threads) {
    apart_->threads.reserve(static_cast<std::size_t>(threads - 1));
    try {
      for (int worker = 1; worker < threads; ++worker) {
        apart_->threads.emplace_back([this, worker] { serve(worker); });
      }
    } catch (...) {
      stop();
      throw Error(ErrorKind::memory, "threads: the system refused to start " +
                                         std::to_string(threads - 1) + " of them");
    }
  }

  ~ThreadWorkers() override {
    if (birthplace_.left()) {
      (void)apart_.release();
    } else {
      stop();
    }
  }

  [[nodiscard]] int size() const noexcept override { return shares_.workers(); }

  void run(index_t chunks, Body body, void* context) noexcept override {
    if (birthplace_.left() || taken_.exchange(true, std::memory_order_acquire)) {
      // the threads are in another process, or in another thread's region: this one stays alone
      for (index_t chunk = 0; chunk < chunks; ++chunk) body(context, chunk, 0);
      return;
    }
    body_ = body;
    context_ = context;
    shares_.deal(chunks);
    // nobody is inside, so the sum is the next generation, open
    state_.store((state_.load(std::memory_order_relaxed) & ~open) + generation + open);
    wake(apart_->begun);
    shares_.work(0, body, context);
    state_.fetch_and(~open);
    await(apart_->left, [this] { return !inside(state_.load()); });
    taken_.store(false, std::memory_order_release);
  }

 private:
  // The state's bits: threads inside the region, whether more may enter, and its generation.
  static constexpr std::uint64_t open = std::uint64_t{1} << 16, generation = open << 1;
  static bool inside(std::uint64_t state) { return (state & (open - 1)) != 0; }

  // Threads that have spun for long enough sleep here. std::atomic::wait would do, but libstdc++
  // keeps a table for it that is shared by the whole process.
  struct Bed {
    std::atomic<int> sleepers{0};
    std::condition_variable woken;
  };

  template <class Ready>
  void await(Bed& bed, Ready ready) noexcept {
    for (int i = 0; i < spins_; ++i) {
      if (ready()) return;
      _mm_pause();
    }
    std::unique_lock lock(mutex_);
    // Counted before it looks a last time, and wake() looks at the count after the change: one of
    // the two sees the other, for both sides are sequentially consistent.
    bed.sleepers.fetch_add(1);
    bed.woken.wait(lock, ready);
    bed.sleepers.fetch_sub(1);
  }

  // Call it after the change that the sleepers wait for.
  void wake(Bed& bed) noexcept {
    if (bed.sleepers.load() == 0) return;
    { const std::lock_guard lock(mutex_); }  // who has counted itself sleeps by now
    bed.woken.notify_all();
  }

  void serve(int worker) noexcept {
    std::uint64_t seen = 0;
    for (;;) {
      std::uint64_t state = 0;
      await(apart_->begun, [&] {
        state = state_.load();
        return stopping_.load() || ((state & open) != 0 && state / generation != seen);
      });
      if (stopping_.load(std::memory_order_acquire)) return;
      // what changes the state meanwhile is another thread that enters, or the end of the region
      if (!state_.compare_exchange_strong(state, state + 1, std::memory_order_acquire)) continue;
      seen = state / generation;
      shares_.work(worker, body_, context_);
      const std::uint64_t before = state_.fetch_sub(1);
      if (!inside(before - 1) && (before & open) == 0) wake(apart_->left);
    }
  }

  void stop() noexcept {
    stopping_.store(true);
    wake(apart_->begun);
    for (std::thread& thread : apart_->threads) thread.join();
    apart_->threads.clear();
  }

  // What a child of fork() leaves alone: there the threads are gone, one of them perhaps with the
  // mutex, and to destroy a condition that they slept on would wait for them.
  struct Apart {
    std::vector<std::thread> threads;
    Bed begun, left;  // where they wait for a region, and the caller for its end
  };

  const int spins_;
  const Birthplace birthplace_;
  std::unique_ptr<Apart> apart_ = std::make_unique<Apart>();
  Body body_ = nullptr;
  void* context_ = nullptr;
  Shares shares_;
  // on lines of their own: threads that wait on one do not slow down the others
  alignas(64) std::atomic<std::uint64_t> state_{0};
  alignas(64) std::atomic<bool> taken_{false};
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
};

}  // namespace

std::unique_ptr<Workers> make_thread_workers(int threads) {
  if (threads < 1 || threads > 1024) {
    throw Error(ErrorKind::usage, "threads: " + std::to_string(threads) + " is not in 1..1024");
  }
  return std::make_unique<ThreadWorkers>(threads);
}

}  // namespace attn::kernels
