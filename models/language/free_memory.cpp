#include "models/language/free_memory.hpp"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <limits>
#include <optional>
#include <string>
#include <sys/resource.h>

namespace attn::models {
namespace {

constexpr std::size_t unknown = std::numeric_limits<std::size_t>::max();

// A number of bytes alone in a file; "max" and a missing file are unknown.
std::size_t number_in(const char* path) {
  std::ifstream file(path);
  std::size_t bytes = 0;
  return file >> bytes ? bytes : unknown;
}

// https://docs.kernel.org/filesystems/proc.html#meminfo
std::size_t machine_available() {
  std::ifstream file("/proc/meminfo");
  std::string key, unit;
  std::size_t kib = 0;
  while (file >> key >> kib) {
    if (key == "MemAvailable:") return kib * 1024;
    std::getline(file, unit);
  }
  return unknown;
}

// What a limit leaves beside what is used.
std::size_t left(std::size_t limit, std::size_t used) {
  if (limit == unknown) return unknown;
  return used == unknown ? limit : limit - std::min(limit, used);
}

// https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files
std::size_t group_left() {
  return left(number_in("/sys/fs/cgroup/memory.max"), number_in("/sys/fs/cgroup/memory.current"));
}

std::size_t address_space_left() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return unknown;
  std::ifstream file("/proc/self/statm");  // its first number: pages of address space in use
  std::size_t pages = 0;
  constexpr std::size_t page = 4096;
  return left(limit.rlim_cur, file >> pages ? pages * page : unknown);
}

}  // namespace

std::size_t free_memory() {
  const std::size_t least = std::min({machine_available(), group_left(), address_space_left()});
  return least == unknown ? 0 : least;
}

}  // namespace attn::models
