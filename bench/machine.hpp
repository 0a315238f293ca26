#pragma once

#include "kernels/isa.hpp"

#include <cstddef>

namespace attn::bench {

// What this machine can do at best, for kernels to be measured against. Every limit is measured
// when first asked for, in some 50 ms on `threads` threads at once, and remembered. For one thread
// at a time.

/// Multiplications and additions of floats, in 10^9 a second: fused ones in registers alone, at the
/// scalar level separate ones in SSE2.
double arithmetic_limit(kernels::Isa isa, int threads);

/// Bytes read and written, in 10^9 a second, by copying `bytes` / 2 to another place, again and
/// again: `bytes` decide which cache this happens in. The better of memcpy and a loop of vector
/// moves.
double copy_limit(std::size_t bytes, int threads);

/// Bytes read and written, in 10^9 a second, by changing `bytes` where they are: no cache line is
/// fetched only to be overwritten, so it beats a copy out of the caches.
double update_limit(std::size_t bytes, int threads);

/// Bytes read, in 10^9 a second, by adding up `bytes` again and again.
double read_limit(std::size_t bytes, int threads);

}  // namespace attn::bench
