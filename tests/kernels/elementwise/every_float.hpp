#pragma once

// How far functions of one float are from float64, over every float there is or a sample.

#include "kernels/elementwise/elementwise.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace attn::test {

using kernels::index_t;
using kernels::Unary;

/// The bound that elementwise.hpp states, in units in the last place, for arguments whose magnitude
/// has bits in [first, last].
struct UnaryBound {
  const char* name;
  Unary function;
  double ulps;
  std::uint32_t first = 0, last = 0x7fffffff;  // infinity and the NaNs are the highest
};
inline constexpr std::uint32_t bits_of_3 = 0x40400000;
inline constexpr UnaryBound unary_bounds[] = {{"exp", Unary::exp, 1},
                                              {"tanh", Unary::tanh, 2},
                                              {"sigmoid", Unary::sigmoid, 2},
                                              {"relu", Unary::relu, 0},
                                              {"gelu, |x| < 3", Unary::gelu, 3, 0, bits_of_3 - 1},
                                              {"gelu, |x| >= 3", Unary::gelu, 5, bits_of_3},
                                              {"gelu_tanh", Unary::gelu_tanh, 2},
                                              {"silu", Unary::silu, 2}};

/// Distance between a float and the exact value, in units in the last place of the exact value's
/// nearest float; 0 for two NaNs and where both are the same infinity, else infinity where one is
/// not finite.
inline double ulp_error(float got, double exact) {
  const auto nearest = static_cast<float>(exact);
  constexpr std::uint32_t infinity = 0x7f800000;
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(nearest) & 0x7fffffffU;
  if (bits >= infinity || (std::bit_cast<std::uint32_t>(got) & 0x7fffffffU) >= infinity) {
    const bool same = nearest == got || (std::isnan(nearest) && std::isnan(got));
    return same ? 0 : std::numeric_limits<double>::infinity();
  }
  // 2^(23 - exponent), as a double's bits; subnormals are spaced as the least normal numbers are
  const std::uint64_t biased = std::max<std::uint64_t>(bits >> 23, 1);
  const auto per_ulp = std::bit_cast<double>((1023 + 23 + 127 - biased) << 52);
  return std::fabs(static_cast<double>(got) - exact) * per_ulp;
}

/// The bit patterns first, first + step, ... up to last.
struct Stretch {
  std::uint32_t first, last, step;
};

/// Of both signs, the patterns whose magnitudes lie in [first, last]: all of them with a stride of
/// 1, otherwise every stride-th, twenty times as many where the functions bend, and the
/// neighbourhoods of where a version changes its course and of the ends of the range.
inline std::vector<Stretch> stretches(std::uint32_t first, std::uint32_t last,
                                      std::uint32_t stride) {
  std::vector<Stretch> all;
  const auto add = [&](std::uint32_t from, std::uint32_t to, std::uint32_t step) {
    from = std::max(from, first);
    to = std::min(to, last);
    if (from > to) return;
    constexpr std::uint32_t sign = 0x80000000;
    all.push_back({from, to, step});
    all.push_back({from | sign, to | sign, step});
  };
  if (stride == 1) {
    add(first, last, 1);
    return all;
  }
  constexpr auto bent = std::bit_cast<std::uint32_t>(0x1p-6F);
  constexpr auto straight = std::bit_cast<std::uint32_t>(16.0F);
  add(0, bent - 1, stride);
  add(bent, straight - 1, std::max(1U, stride / 20));
  add(straight, 0x7fffffff, stride);
  constexpr float edges[] = {0,          std::numeric_limits<float>::infinity(),
                             88.722839F, std::numeric_limits<float>::min(),
                             87.33654F,  103.972F,
                             0.6F,       9.01F,
                             40,         12,
                             15,         10.5F,
                             14.4F,      120,
                             16.63F,     3};
  for (const float edge : edges) {
    const auto bits = std::bit_cast<std::uint32_t>(edge);
    add(std::max(bits, 100U) - 100, bits + 100, 1);
  }
  return all;
}

struct Worst {
  double error = 0;
  float at = 0;

  // of equal errors the lowest pattern, whichever thread met it first
  void meet(double e, float x) {
    const bool lower = std::bit_cast<std::uint32_t>(x) < std::bit_cast<std::uint32_t>(at);
    if (e > error || (e == error && e > 0 && lower)) {
      error = e;
      at = x;
    }
  }
};

/// The worst error of every level in supported_isas() over the stretches. Function has
///   void exact(index_t n, const double* x, double* y)
///   void run(kernels::Isa, index_t n, const float* x, float* y)
///   double error(float got, double exact)   never NaN
template <class Function>
std::vector<Worst> worst_errors(kernels::Workers& workers, std::span<const Stretch> where,
                                const Function& f) {
  constexpr index_t together = 4096;  // 96 KiB of a core's caches
  struct Room {
    std::array<float, together> x, got;
    std::array<double, together> x64, exact;
    std::vector<Worst> worst;
  };
  const auto levels = kernels::supported_isas();
  std::vector<Room> rooms(static_cast<std::size_t>(workers.size()));
  for (Room& room : rooms) room.worst.resize(levels.size());
  for (const Stretch& s : where) {
    const index_t patterns = (index_t{s.last} - s.first) / s.step + 1;
    kernels::parallel_for(
        workers, kernels::ceil_div(patterns, together), [&](index_t chunk, int worker) {
          Room& room = rooms[static_cast<std::size_t>(worker)];
          const index_t from = chunk * together, n = std::min(together, patterns - from);
          const auto count = static_cast<std::size_t>(n);
          for (std::size_t i = 0; i < count; ++i) {
            const auto bits = s.first + (from + static_cast<index_t>(i)) * s.step;
            room.x[i] = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
            room.x64[i] = static_cast<double>(room.x[i]);
          }
          f.exact(n, room.x64.data(), room.exact.data());
          for (std::size_t level = 0; level < levels.size(); ++level) {
            f.run(levels[level], n, room.x.data(), room.got.data());
            Worst& worst = room.worst[level];
            for (std::size_t i = 0; i < count; ++i) {
              const double error = f.error(room.got[i], room.exact[i]);
              if (error >= worst.error) worst.meet(error, room.x[i]);
            }
          }
        });
  }
  std::vector<Worst> all(levels.size());
  for (const Room& room : rooms) {
    for (std::size_t level = 0; level < levels.size(); ++level) {
      all[level].meet(room.worst[level].error, room.worst[level].at);
    }
  }
  return all;
}

/// A unary function, for worst_errors().
struct UnaryValues {
  Unary function;

  void exact(index_t n, const double* x, double* y) const {
    kernels::unary(kernels::Isa::scalar, kernels::serial_workers(), function, n, x, y);
  }
  void run(kernels::Isa isa, index_t n, const float* x, float* y) const {
    kernels::unary(isa, kernels::serial_workers(), function, n, x, y);
  }
  static double error(float got, double exact) { return ulp_error(got, exact); }
};

}  // namespace attn::test
