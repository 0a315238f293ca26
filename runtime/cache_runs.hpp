#pragma once

#include "kernels/attention/attention.hpp"
#include "runtime/shape.hpp"

#include <cstdint>
#include <span>

namespace attn::runtime {

/// The runs of a tensor I32 [runs, 4], whose rows are those of kernels::CacheRun. Throws
/// Error(invalid) unless they follow each other from row 0 to `rows` and fit `cache` [slots,
/// capacity, width].
[[nodiscard]] std::span<const kernels::CacheRun> cache_runs(const TensorView& runs,
                                                            std::int64_t rows,
                                                            const TensorView& cache);

}  // namespace attn::runtime
