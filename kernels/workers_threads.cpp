// The std::thread backend: workers sleep on a condition variable between regions, so a host that is
// idle burns nothing, and ThreadSanitizer understands every synchronisation.

#include "attn/error.hpp"
#include "kernels/workers.hpp"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace attn::kernels {
namespace {

class ThreadWorkers final : public Workers {
 public:
  explicit ThreadWorkers(int threads) : size_(threads) {
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
    {
      const std::lock_guard lock(mutex_);
      body_ = body;
      context_ = context;
      chunks_ = chunks;
      next_.store(0, std::memory_order_relaxed);
      busy_ = size_ - 1;
      ++generation_;
    }
    wake_.notify_all();
    work(body, context, chunks, 0);
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return busy_ == 0; });
  }

 private:
  void work(Body body, void* context, index_t chunks, int worker) noexcept {
    for (;;) {
      const index_t chunk = next_.fetch_add(1, std::memory_order_relaxed);
      if (chunk >= chunks) return;
      body(context, chunk, worker);
    }
  }

  void serve(int worker) noexcept {
    std::uint64_t seen = 0;
    for (;;) {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stopping_ || generation_ != seen; });
      if (stopping_) return;
      seen = generation_;
      const Body body = body_;
      void* const context = context_;
      const index_t chunks = chunks_;
      lock.unlock();
      work(body, context, chunks, worker);
      lock.lock();
      if (--busy_ == 0) done_.notify_one();
    }
  }

  void stop() noexcept {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  const int size_;
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  Body body_ = nullptr;
  void* context_ = nullptr;
  index_t chunks_ = 0;
  int busy_ = 0;
  std::uint64_t generation_ = 0;
  bool stopping_ = false;
  std::atomic<index_t> next_{0};
};

}  // namespace

std::unique_ptr<Workers> make_thread_workers(int threads) {
  if (threads < 1 || threads > 1024) {
    throw Error(ErrorKind::usage, "threads: " + std::to_string(threads) + " is not in 1..1024");
  }
  return std::make_unique<ThreadWorkers>(threads);
}

}  // namespace attn::kernels
