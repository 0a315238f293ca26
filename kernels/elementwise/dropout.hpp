#pragma once

#include "kernels/isa.hpp"
#include "kernels/workers.hpp"

#include <cstdint>

namespace attn::kernels {

/// y[i] = x[i] / (1 − rate), or with a chance of `rate` (in [0, 1)) exactly 0, i < n. What is kept
/// is a hash of seed, counter and i alone, so that the way back drops the same; the bits are the
/// same at every level and on any number of threads. y may be x.
template <class T>
void dropout(Isa isa, Workers& workers, double rate, std::uint64_t seed, std::int32_t counter,
             index_t n, const T* x, T* y);

}  // namespace attn::kernels
