#include "load/resources.hpp"

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <unistd.h>

namespace attn::test {
namespace {

std::size_t entries(const char* folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder),
                                                std::filesystem::directory_iterator()));
}

double cpu_seconds() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

}  // namespace

bool long_form() { return std::getenv("ATTN_LONG") != nullptr; }

Resources resources() {
  std::ifstream file("/proc/self/statm");
  std::size_t all = 0, resident = 0;
  file >> all >> resident;
  return {resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)), entries("/proc/self/fd"),
          entries("/proc/self/task")};
}

double idle_cpu_seconds() {
  std::this_thread::sleep_for(std::chrono::seconds(1));
  const double before = cpu_seconds();
  std::this_thread::sleep_for(std::chrono::seconds(1));
  return cpu_seconds() - before;
}

}  // namespace attn::test
