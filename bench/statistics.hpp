#pragma once

#include <span>
#include <vector>

namespace attn::bench {

[[nodiscard]] double mean(std::span<const double> values);

/// Of a sample (n − 1); 0 for fewer than two.
[[nodiscard]] double deviation(std::span<const double> values);

/// What `share` of the values are at most, between neighbours in proportion; 0 of none.
[[nodiscard]] double percentile(std::vector<double> values, double share);

}  // namespace attn::bench
