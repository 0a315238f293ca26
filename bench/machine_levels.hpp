#pragma once

#include "kernels/types.hpp"

namespace attn::bench {

using kernels::index_t;

// The loops behind machine.hpp's limits, once per level. The floats they return keep the compiler
// from leaving the work out.

/// Floating-point operations of one step of arithmetic_loop, per lane.
inline constexpr int arithmetic_chains = 12;

namespace avx2 {
float arithmetic_loop(index_t steps, float factor);
int arithmetic_lanes();
void copy_loop(index_t n, const float* from, float* to);
void update_loop(index_t n, float* values);
float read_loop(index_t n, const float* from);
}  // namespace avx2
namespace avx512 {
float arithmetic_loop(index_t steps, float factor);
int arithmetic_lanes();
void copy_loop(index_t n, const float* from, float* to);
void update_loop(index_t n, float* values);
float read_loop(index_t n, const float* from);
}  // namespace avx512

}  // namespace attn::bench
