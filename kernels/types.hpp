#pragma once

#include <cstddef>

namespace attn::kernels {

/// Lengths and strides, in elements. Signed, so that differences need no care.
using index_t = std::ptrdiff_t;

constexpr index_t ceil_div(index_t a, index_t b) { return (a + b - 1) / b; }
constexpr index_t round_up(index_t a, index_t b) { return ceil_div(a, b) * b; }

}  // namespace attn::kernels
