#pragma once

#include <cstddef>
#include <optional>

namespace attn::models {

/// Bytes that this process could still take without being killed or swapped: what the machine has
/// available and what its control group leaves, the smaller; nothing where neither is known. Linux:
/// MemAvailable of /proc/meminfo, the cgroup's (v2) memory.max less memory.current but for files in
/// the page cache, and the limit on the address space.
[[nodiscard]] std::optional<std::size_t> free_memory();

}  // namespace attn::models
