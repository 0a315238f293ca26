#pragma once

#include "kernels/workers.hpp"

#include <atomic>
#include <cstddef>
#include <vector>

namespace attn::kernels {

/// The chunks of a region, dealt out to workers. Each begins with a run of chunks of its own, so
/// that what it reads is one stream and not every second piece of it, and helps the others when it
/// is through.
class Shares {
 public:
  explicit Shares(int workers) : shares_(static_cast<std::size_t>(workers)) {}

  [[nodiscard]] int workers() const noexcept { return static_cast<int>(shares_.size()); }

  /// Call it while nobody works.
  void deal(index_t chunks) noexcept {
    for (int worker = 0; worker < workers(); ++worker) {
      Share& share = shares_[static_cast<std::size_t>(worker)];
      share.next.store(chunks * worker / workers(), std::memory_order_relaxed);
      share.end = chunks * (worker + 1) / workers();
    }
  }

  /// What a worker does, until no chunk is left that nobody has begun.
  void work(int worker, Workers::Body body, void* context) noexcept {
    for (int i = 0; i < workers(); ++i) {
      Share& share = shares_[static_cast<std::size_t>((worker + i) % workers())];
      for (;;) {
        const index_t chunk = share.next.fetch_add(1, std::memory_order_relaxed);
        if (chunk >= share.end) break;
        body(context, chunk, worker);
      }
    }
  }

 private:
  // on a line of its own, for it is written for each chunk
  struct alignas(64) Share {
    std::atomic<index_t> next{0};
    index_t end = 0;
  };
  std::vector<Share> shares_;
};

}  // namespace attn::kernels
