#pragma once

#include "kernels/workers.hpp"

#include <functional>
#include <memory>

namespace attn::kernels {

/// A host's own threads: calls task(context, index) once for each index in [0, tasks), in any order
/// and on any threads, several at the same time or not, and returns when all calls have returned.
/// If it throws, none of them runs any more.
using HostParallelFor =
    std::function<void(int tasks, void (*task)(void* context, int index), void* context)>;

/// Workers over them: a region is one call with as many tasks as there are workers, or chunks where
/// those are fewer, and there is never more than one call at a time. Tasks that the host leaves out
/// are done by the caller. threads in 1..1024, or Error(usage).
[[nodiscard]] std::unique_ptr<Workers> make_host_workers(int threads, HostParallelFor parallel_for);

}  // namespace attn::kernels
