#include "runtime/cache_runs.hpp"

#include "attn/error.hpp"

#include <string>

namespace attn::runtime {

std::span<const kernels::CacheRun> cache_runs(const TensorView& runs, std::int64_t rows,
                                              const TensorView& cache) {
  const std::span all(runs.as<const kernels::CacheRun>(), static_cast<std::size_t>(runs.dim(0)));
  std::int64_t next = 0;
  for (std::size_t r = 0; r < all.size(); ++r) {
    const kernels::CacheRun& run = all[r];
    if (run.first != next || run.rows < 0 || run.slot < 0 || run.slot >= cache.dim(0) ||
        run.length < run.rows || run.length > cache.dim(1)) {
      throw Error(ErrorKind::invalid,
                  "run " + std::to_string(r) + ": " + std::to_string(run.rows) + " rows from " +
                      std::to_string(run.first) + " on, " + std::to_string(run.length) +
                      " long in slot " + std::to_string(run.slot) + ", do not follow in " +
                      std::to_string(cache.dim(0)) + " slots of " + std::to_string(cache.dim(1)));
    }
    next += run.rows;
  }
  if (next != rows) {
    throw Error(ErrorKind::invalid,
                "the runs have " + std::to_string(next) + " rows, not " + std::to_string(rows));
  }
  return all;
}

}  // namespace attn::runtime
