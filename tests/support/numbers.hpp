#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <span>
#include <vector>

namespace attn::test {

/// n numbers, uniform in [low, high), the same on every machine.
template <class T = float>
std::vector<T> random_values(std::size_t n, std::uint32_t seed, double low = -1, double high = 1) {
  std::mt19937 generator(seed);
  std::vector<T> values(n);
  for (T& value : values) {
    value = static_cast<T>(low + (high - low) * (static_cast<double>(generator()) / 4294967296.0));
  }
  return values;
}

template <class To, class From>
std::vector<To> converted(const std::vector<From>& values) {
  return {values.begin(), values.end()};
}

/// Σ(got − exact)² / Σ exact²; infinity where there are not as many.
template <class A, class B>
double nmse(const std::vector<A>& got, const std::vector<B>& exact) {
  if (got.size() != exact.size()) return std::numeric_limits<double>::infinity();
  double error = 0, power = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const double e = static_cast<double>(exact[i]), d = static_cast<double>(got[i]) - e;
    error += d * d;
    power += e * e;
  }
  return power > 0 ? error / power : error;
}

/// The largest |got − exact|; infinity where there are not as many.
template <class A, class B>
double largest_difference(const std::vector<A>& got, const std::vector<B>& exact) {
  if (got.size() != exact.size()) return std::numeric_limits<double>::infinity();
  double worst = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const double d = std::fabs(static_cast<double>(got[i]) - static_cast<double>(exact[i]));
    if (!(d <= worst)) worst = d;  // a NaN counts as the worst
  }
  return worst;
}

template <class T>
bool same_bits(std::span<const T> a, std::span<const T> b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return same_bits(std::span<const T>(a), std::span<const T>(b));
}

}  // namespace attn::test
