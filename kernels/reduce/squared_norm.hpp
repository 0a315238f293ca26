#pragma once

#include "kernels/isa.hpp"
#include "kernels/workers.hpp"

namespace attn::kernels {

/// Σ x[i]², i < n, in float64, in an order that n and the level decide.
template <class T>
[[nodiscard]] double squared_norm(Isa isa, Workers& workers, index_t n, const T* x);

}  // namespace attn::kernels
