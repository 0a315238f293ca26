#pragma once

#include "kernels/isa.hpp"
#include "kernels/workers.hpp"

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstddef>
#include <new>
#include <vector>

namespace attn::bench {

/// The level that the benchmarks run at: ATTN_ISA's, else the best of this CPU.
kernels::Isa isa();

/// A pool of that many threads, kept for the next who asks.
kernels::Workers& workers(int threads);

/// Memory that begins at a cache line, as the runtime's arena does.
template <class T>
struct LineAllocator {
  using value_type = T;
  static constexpr std::align_val_t line{64};
  LineAllocator() = default;
  template <class U>
  explicit LineAllocator(const LineAllocator<U>&) {}
  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), line)); }
  void deallocate(T* p, std::size_t) { ::operator delete(p, line); }
  bool operator==(const LineAllocator&) const { return true; }
};
using Floats = std::vector<float, LineAllocator<float>>;

/// None yet, and room for n in huge pages where the system has them, as packed weights stand.
Floats huge_floats(std::size_t n);

/// n floats, uniform in [−1, 1).
Floats random_floats(std::size_t n);

/// What one iteration moves, in bytes.
struct Traffic {
  double read = 0, written = 0;
  int threads = 1;
  /// Of what is written, it reads first (an update in place). These bytes count in both sums, but
  /// once in the working set, which is what decides on the cache.
  double updated = 0;
};

/// The benchmark's rates. Begin it right before the loop, which it times, and say after the loop
/// what one iteration did:
///   Meter meter(state);
///   for (auto _ : state) softmax(…);
///   meter.bytes({.read = …, .written = …});
/// Sets the counters `GFLOP/s` or `GB/s`, and `limit%`: of what the machine can do at most with as
/// many threads and, for bytes, as large a working set.
class Meter {
 public:
  explicit Meter(benchmark::State& state) : state_(state) {}

  /// `operations` floating-point additions and multiplications an iteration, against fused
  /// multiply-adds in registers at level isa().
  void flops(double operations, int threads = 1);

  /// The same of products of bf16, against the fastest instructions for them at a level: that of
  /// whoever computes, which is not isa() for a peer.
  void bf16_flops(double operations, int threads, kernels::Isa level);

  /// Against a copy; against reading where less than a tenth is written; against an update in place
  /// where most of what is written is.
  void bytes(const Traffic& traffic);

 private:
  // of units an iteration, in 10^9 a second since the construction
  [[nodiscard]] double rate(double units) const;
  void show(const char* unit, double reached, double limit);

  benchmark::State& state_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace attn::bench
