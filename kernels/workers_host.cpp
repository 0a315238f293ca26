#include "kernels/workers_host.hpp"

#include "attn/error.hpp"
#include "kernels/shares.hpp"

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>

namespace attn::kernels {
namespace {

class HostWorkers final : public Workers {
 public:
  HostWorkers(int threads, HostParallelFor parallel_for)
      : shares_(threads), parallel_for_(std::move(parallel_for)) {}

  [[nodiscard]] int size() const noexcept override { return shares_.workers(); }

  void run(index_t chunks, Body body, void* context) noexcept override {
    if (taken_.exchange(true, std::memory_order_acquire)) {
      // another thread's region is running: this one stays on its own
      for (index_t chunk = 0; chunk < chunks; ++chunk) body(context, chunk, 0);
      return;
    }
    shares_.deal(chunks);
    Region region{&shares_, body, context,
                  static_cast<int>(std::min<index_t>(chunks, shares_.workers()))};
    try {
      parallel_for_(region.tasks, task, &region);
    } catch (...) {
      // none of its tasks runs any more, and what they have not begun is done here
    }
    shares_.work(0, body, context);
    taken_.store(false, std::memory_order_release);
  }

 private:
  struct Region {
    Shares* shares;
    Body body;
    void* context;
    int tasks;
  };

  static void task(void* context, int index) noexcept {
    const Region& region = *static_cast<const Region*>(context);
    // another index has no scratch of its own
    if (index < 0 || index >= region.tasks) return;
    region.shares->work(index, region.body, region.context);
  }

  Shares shares_;
  HostParallelFor parallel_for_;
  std::atomic<bool> taken_{false};
};

}  // namespace

std::unique_ptr<Workers> make_host_workers(int threads, HostParallelFor parallel_for) {
  if (threads < 1 || threads > 1024) {
    throw Error(ErrorKind::usage, "threads: " + std::to_string(threads) + " is not in 1..1024");
  }
  return std::make_unique<HostWorkers>(threads, std::move(parallel_for));
}

}  // namespace attn::kernels
