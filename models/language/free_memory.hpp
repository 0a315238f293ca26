#pragma once

#include <cstddef>

namespace attn::models {

/// Bytes that this process could still take without being killed or swapped: what the machine has
/// available and what its control group leaves, the smaller; 0 where neither is known. Linux:
/// MemAvailable of /proc/meminfo, memory.max and memory.current of the cgroup (v2), and the limit
/// on the address space.
[[nodiscard]] std::size_t free_memory();

}  // namespace attn::models
