#include "kernels/workers.hpp"

#include <algorithm>
#include <fstream>
#include <sched.h>
#include <set>
#include <string>

namespace attn::kernels {
namespace {

class SerialWorkers final : public Workers {
 public:
  [[nodiscard]] int size() const noexcept override { return 1; }
  void run(index_t chunks, Body body, void* context) noexcept override {
    for (index_t chunk = 0; chunk < chunks; ++chunk) body(context, chunk, 0);
  }
};

// Processors that the control group's quota amounts to, rounded up; 0 where there is no quota.
// https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files ("cpu.max": quota period)
int quota_processors() {
  std::ifstream v2("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (!(v2 >> quota >> period)) {
    std::ifstream v1_quota("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
    std::ifstream v1_period("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
    if (!(v1_quota >> quota) || !(v1_period >> period)) return 0;
  }
  if (quota == "max" || quota.starts_with('-') || period <= 0) return 0;
  const double microseconds = std::atof(quota.c_str());
  return std::max(1, static_cast<int>(std::min(microseconds / period + 0.999, 1024.0)));
}

// Cores that the allowed processors belong to. Two that name the same siblings are one.
// https://docs.kernel.org/admin-guide/cputopology.html
int allowed_cores(const cpu_set_t& allowed) {
  std::set<std::string> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    std::string siblings;
    if (!(std::ifstream(folder + "thread_siblings_list") >> siblings)) return CPU_COUNT(&allowed);
    cores.insert(siblings);
  }
  return static_cast<int>(cores.size());
}

}  // namespace

Workers& serial_workers() noexcept {
  static SerialWorkers workers;  // stateless, so sharing it shares nothing
  return workers;
}

int default_threads() noexcept {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  int threads = 1;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
    threads = std::max(1, CPU_COUNT(&allowed));
  }
  try {
    threads = std::max(1, std::min(threads, allowed_cores(allowed)));
    if (const int quota = quota_processors(); quota > 0) threads = std::min(threads, quota);
  } catch (...) {
    // no memory for a string: the affinity mask alone decides
  }
  return threads;
}

}  // namespace attn::kernels
