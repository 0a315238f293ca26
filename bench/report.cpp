#include "bench/report.hpp"

#include "bench/machine.hpp"
#include "bench/machine_dot.hpp"

#include <map>
#include <memory>
#include <sys/mman.h>

namespace attn::bench {

kernels::Isa isa() {
  static const kernels::Isa level = kernels::choose_isa().isa;
  return level;
}

kernels::Workers& workers(int threads) {
  static std::map<int, std::unique_ptr<kernels::Workers>> pools;
  auto& pool = pools[threads];
  if (pool == nullptr) pool = kernels::make_workers(threads);
  return *pool;
}

Floats huge_floats(std::size_t n) {
  constexpr std::size_t page = 4096;
  Floats none;
  none.reserve(n);
  const std::size_t begin = (reinterpret_cast<std::size_t>(none.data()) + page - 1) / page * page;
  const std::size_t end = reinterpret_cast<std::size_t>(none.data() + n) / page * page;
  if (begin < end) (void)madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
  return none;
}

Floats random_floats(std::size_t n) {
  std::uint32_t state = 1;
  Floats values(n);
  for (float& value : values) {
    // a linear congruence (Numerical Recipes' constants); its upper 24 bits make a float
    state = state * 1664525U + 1013904223U;
    value = static_cast<float>(state >> 8) * 0x1p-23F - 1.0F;
  }
  return values;
}

double Meter::rate(double units) const {
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
  return 1e-9 * units * static_cast<double>(state_.iterations()) / elapsed.count();
}

void Meter::show(const char* unit, double reached, double limit) {
  state_.counters[unit] = reached;
  state_.counters["limit%"] = 100 * reached / limit;
}

void Meter::flops(double operations, int threads) {
  const double reached = rate(operations);  // before the limit, which may have to be measured
  show("GFLOP/s", reached, arithmetic_limit(isa(), threads));
}

void Meter::bf16_flops(double operations, int threads, kernels::Isa level) {
  const double reached = rate(operations);
  show("GFLOP/s", reached, bf16_limit(level, threads).rate);
}

void Meter::bytes(const Traffic& traffic) {
  const double total = traffic.read + traffic.written;
  const double reached = rate(total);
  const auto working_set = static_cast<std::size_t>(total - traffic.updated);
  const double limit = traffic.written < 0.1 * total ? read_limit(working_set, traffic.threads)
                       : traffic.updated > 0.5 * traffic.written
                           ? update_limit(working_set, traffic.threads)
                           : copy_limit(working_set, traffic.threads);
  show("GB/s", reached, limit);
}

}  // namespace attn::bench
