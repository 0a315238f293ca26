#pragma once

#include <span>

namespace attn::models {

/// Spearman's rank correlation of two lists of the same length, ties having the mean of their
/// ranks; 0 where one of them has no two different numbers.
[[nodiscard]] double rank_correlation(std::span<const double> a, std::span<const double> b);

}  // namespace attn::models
