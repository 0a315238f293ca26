#pragma once

#include "kernels/types.hpp"

#include <memory>

namespace attn::kernels {

/// Threads as an object, handed to every kernel from above. A kernel cuts its work into chunks by
/// shape alone, never by size(), so that the same input gives the same bits on any thread count.
/// Where two threads run models on the same Workers at once, one of them may have to do without
/// the others.
class Workers {
 public:
  /// Called for chunk in [0, chunks) and worker in [0, size()); two calls with the same worker
  /// never overlap, so scratch memory may be indexed by it. May not throw.
  using Body = void (*)(void* context, index_t chunk, int worker) noexcept;

  Workers() = default;
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  virtual ~Workers() = default;

  /// The number of threads, the caller's included; at least 1.
  [[nodiscard]] virtual int size() const noexcept = 0;

  /// Runs body for every chunk, in any order, and returns when all are done.
  virtual void run(index_t chunks, Body body, void* context) noexcept = 0;
};

/// The caller's thread alone.
[[nodiscard]] Workers& serial_workers() noexcept;

/// The default backend: std::thread, or OpenMP where built in. threads in 1..1024, or
/// Error(usage).
[[nodiscard]] std::unique_ptr<Workers> make_workers(int threads);

/// The std::thread backend: its threads spin for some 50 µs between regions, then sleep.
[[nodiscard]] std::unique_ptr<Workers> make_thread_workers(int threads);

/// Threads worth using here: physical cores among the processors that affinity allows (two
/// hyperthreads of one core share its vector units), and no more than the cgroup's CPU quota; at
/// least 1.
[[nodiscard]] int default_threads() noexcept;

/// Calls body(chunk, worker) for every chunk in [0, chunks). A single chunk or a single worker
/// never leaves the caller's thread.
template <class Body>
void parallel_for(Workers& workers, index_t chunks, Body&& body) {
  if (chunks <= 1 || workers.size() == 1) {
    for (index_t chunk = 0; chunk < chunks; ++chunk) body(chunk, 0);
    return;
  }
  workers.run(
      chunks,
      [](void* context, index_t chunk, int worker) noexcept {
        (*static_cast<std::remove_reference_t<Body>*>(context))(chunk, worker);
      },
      &body);
}

}  // namespace attn::kernels
