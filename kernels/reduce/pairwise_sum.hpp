#pragma once

#include "kernels/types.hpp"

namespace attn::kernels::scalar {

/// Σ term(i) over begin ≤ i < end by halving, so that rounding error grows with the logarithm of
/// the count.
template <class T, class Term>
T pairwise_sum(index_t begin, index_t end, const Term& term) {
  if (end - begin <= 32) {  // short enough that the order hardly matters, long enough to loop
    T sum = 0;
    for (index_t i = begin; i < end; ++i) sum += term(i);
    return sum;
  }
  const index_t middle = begin + (end - begin) / 2;
  return pairwise_sum<T>(begin, middle, term) + pairwise_sum<T>(middle, end, term);
}

}  // namespace attn::kernels::scalar
