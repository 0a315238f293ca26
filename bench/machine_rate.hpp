#pragma once

#include "bench/report.hpp"
#include "kernels/workers.hpp"

#include <algorithm>
#include <chrono>
#include <limits>

namespace attn::bench {

/// Units a second of work(thread, repeats), which does `units` on every thread each time: the best
/// of ten runs of some 5 ms each, since whatever disturbs a run only makes it slower. How often 5
/// ms are is found out on one thread: where others keep the processors busy, threads wait for each
/// other as long without any work.
template <class Work>
double best_rate(int threads, double units, Work work) {
  const auto seconds = [](auto&& run) {
    const auto start = std::chrono::steady_clock::now();
    run();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  kernels::index_t repeats = 1;
  while (seconds([&] { work(0, repeats); }) < 5e-3) repeats *= 2;
  kernels::Workers& pool = workers(threads);
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < 10; ++i) {
    best = std::min(best, seconds([&] {
                      kernels::parallel_for(pool, threads, [&](kernels::index_t thread, int) {
                        work(thread, repeats);
                      });
                    }));
  }
  return units * threads * static_cast<double>(repeats) / best;
}

}  // namespace attn::bench
