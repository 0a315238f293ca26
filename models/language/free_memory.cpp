#include "models/language/free_memory.hpp"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <sys/resource.h>

namespace attn::models {
namespace {

using Bytes = std::optional<std::size_t>;

// A number of bytes alone in a file; "max" and a missing file are unknown.
Bytes number_in(const char* path) {
  std::ifstream file(path);
  std::size_t bytes = 0;
  return file >> bytes ? Bytes(bytes) : std::nullopt;
}

// The number after a key, of lines of both.
Bytes number_of(const char* path, std::string_view wanted) {
  std::ifstream file(path);
  std::string key, rest;
  std::size_t number = 0;
  while (file >> key >> number) {
    if (key == wanted) return number;
    std::getline(file, rest);
  }
  return std::nullopt;
}

// https://docs.kernel.org/filesystems/proc.html#meminfo
Bytes machine_available() {
  const Bytes kib = number_of("/proc/meminfo", "MemAvailable:");
  return kib ? Bytes(*kib * 1024) : std::nullopt;
}

// What a limit leaves beside what is used.
Bytes left(Bytes limit, std::size_t used) {
  return limit ? Bytes(*limit - std::min(*limit, used)) : std::nullopt;
}

// https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files
Bytes group_left() {
  const std::size_t used = number_in("/sys/fs/cgroup/memory.current").value_or(0);
  // files that were read, a mapped model's too: they go before anything is killed
  std::size_t files = 0;
  for (const char* const key : {"inactive_file", "active_file"}) {
    files += number_of("/sys/fs/cgroup/memory.stat", key).value_or(0);
  }
  return left(number_in("/sys/fs/cgroup/memory.max"), used - std::min(used, files));
}

Bytes address_space_left() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return std::nullopt;
  // its first number: pages of address space in use
  constexpr std::size_t page = 4096;
  return left(limit.rlim_cur, number_in("/proc/self/statm").value_or(0) * page);
}

}  // namespace

std::optional<std::size_t> free_memory() {
  Bytes least;
  for (const Bytes some : {machine_available(), group_left(), address_space_left()}) {
    if (some && (!least || *some < *least)) least = some;
  }
  return least;
}

}  // namespace attn::models
