#pragma once

#include "kernels/isa.hpp"
#include "kernels/workers.hpp"

#include <cstdint>

namespace attn::kernels {

/// y[i, :] = table[ids[i], :] for i < count; table [vocab, cols] and y [count, cols] contiguous.
/// The caller has checked 0 ≤ ids[i] < vocab (first_out_of_range).
template <class T>
void gather_rows(Isa isa, Workers& workers, index_t count, index_t cols, const T* table,
                 const std::int32_t* ids, T* y);

/// dtable[ids[i], :] += dy[i, :], in the order of i, so repeated ids add up to the same bits on any
/// thread count (the work is cut by columns).
template <class T>
void scatter_add_rows(Isa isa, Workers& workers, index_t count, index_t cols, const T* dy,
                      const std::int32_t* ids, T* dtable);

/// The first i with ids[i] outside [0, vocab), or count.
[[nodiscard]] index_t first_out_of_range(index_t count, const std::int32_t* ids,
                                         index_t vocab) noexcept;

}  // namespace attn::kernels
