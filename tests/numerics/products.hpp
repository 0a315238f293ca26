#pragma once

// What products are held to. Derivations stand in docs/numerics.md.

#include "kernels/isa.hpp"
#include "kernels/quant/quant.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <string_view>
#include <vector>

namespace attn::numerics {

using kernels::index_t;
using kernels::Isa;

/// γ_n = n u / (1 − n u), u = 2⁻²⁴: what n roundings of a float make of 1, at most.
inline double gamma(index_t n) {
  const double nu = static_cast<double>(n) * 0x1p-24;
  return nu / (1 - nu);
}

inline index_t lanes_of(Isa isa) { return isa >= Isa::avx512 ? 16 : 8; }

/// Roundings that one of k products meets on its way into their sum, at most, in a row of the
/// table. In any order at all there are no more than k: its own, fused or not, and k − 1 additions.
inline index_t depth(std::string_view row, Isa isa, index_t k) {
  if (row != "streamed") return k;
  // two chains a lane, joined, then the lanes by halves; weights without blocks may leave a rest
  const index_t lanes = lanes_of(isa), rest = k % 32, whole = k - rest;
  const auto halvings = static_cast<index_t>(std::log2(lanes));
  return std::min(k, whole / (2 * lanes) + 1 + halvings + rest);
}

/// The exact Σ a b of an element of C, and the Σ |a b| that its bound is a part of.
struct Exact {
  double sum = 0, magnitude = 0;
};

/// C = A Bᵀ of A [m, k] and Bᵀ [n, k], contiguous.
inline std::vector<Exact> exact_products(index_t m, index_t n, index_t k,
                                         const std::vector<float>& a, const std::vector<float>& b) {
  std::vector<Exact> all;
  all.reserve(static_cast<std::size_t>(m * n));
  for (index_t i = 0; i < m; ++i) {
    for (index_t j = 0; j < n; ++j) {
      const float* const x = a.data() + i * k;
      const float* const y = b.data() + j * k;
      Exact e;
      for (index_t l = 0; l < k; ++l) {
        const double product = static_cast<double>(x[l]) * static_cast<double>(y[l]);
        e.sum += product;
        e.magnitude += std::fabs(product);
      }
      all.push_back(e);
    }
  }
  return all;
}

/// The largest |got − sum| / (γ(roundings) · magnitude).
inline double share_of_bound(const std::vector<float>& got, const std::vector<Exact>& exact,
                             index_t roundings) {
  double worst = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const double bound = gamma(roundings) * exact[i].magnitude;
    const double error = std::fabs(static_cast<double>(got[i]) - exact[i].sum);
    const double share = error == 0 ? 0 : error / bound;
    if (!std::isnan(worst) && !(share <= worst)) worst = share;  // a NaN stays
  }
  return worst;
}

/// As the table prints it.
inline const char* type_name(kernels::WeightType type) {
  constexpr const char* names[] = {"f32",  "f16",  "bf16", "q8_0", "q4_0", "q4_1",
                                   "q5_0", "q5_1", "q4_k", "q5_k", "q6_k"};
  static_assert(std::size(names) == std::size(kernels::all_weight_types));
  return names[static_cast<std::size_t>(type)];
}

/// 64-byte aligned.
class Bytes {
 public:
  explicit Bytes(std::size_t bytes)
      : data_(std::aligned_alloc(64, (bytes + 127) / 64 * 64), &std::free) {}
  [[nodiscard]] unsigned char* data() const { return static_cast<unsigned char*>(data_.get()); }

 private:
  std::unique_ptr<void, decltype(&std::free)> data_;
};

}  // namespace attn::numerics
