#pragma once

#include <nlohmann/json.hpp>

#include <functional>

namespace attn::bench {

/// Runs `work` in a process of its own and gives its result. What one measurement leaves behind
/// (the peak of resident memory, mapped weights, a warm allocator, threads) does not reach the
/// next. To be called before this process has threads. Throws the attn::Error that `work` threw;
/// Error(memory) if the system killed the process, Error(invalid) if it died otherwise.
nlohmann::json in_child(const std::function<nlohmann::json()>& work);

/// The largest resident memory of this process so far, in bytes.
[[nodiscard]] std::int64_t peak_resident_bytes();

}  // namespace attn::bench
