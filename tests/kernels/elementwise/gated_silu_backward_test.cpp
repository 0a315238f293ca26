#include "kernels/elementwise/elementwise.hpp"
#include "support/numbers.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>

using namespace attn::kernels;
using namespace attn::test;

namespace {

struct Sides {
  std::vector<float> gate, up;
};

Sides backward(Isa isa, const std::vector<float>& gate, const std::vector<float>& up,
               const std::vector<float>& dy, Workers& workers = serial_workers()) {
  Sides d{std::vector<float>(gate.size(), -7), std::vector<float>(gate.size(), -7)};
  gated_silu_backward(isa, workers, static_cast<index_t>(gate.size()), gate.data(), up.data(),
                      dy.data(), d.gate.data(), d.up.data());
  return d;
}

}  // namespace

TEST_CASE("the way back through silu(gate) · up follows float64", "[elementwise][isa][threads]") {
  for (const std::size_t n : {0U, 1U, 7U, 16U, 33U, 40001U}) {
    auto gate = random_values<float>(n, 1, -12, 12);
    if (n > 30) gate[3] = 200, gate[17] = -200, gate[20] = -90, gate[21] = 0;
    const auto up = random_values<float>(n, 2), dy = random_values<float>(n, 3);
    for (const Isa isa : supported_isas()) {
      const Sides got = backward(isa, gate, up, dy);
      for (std::size_t i = 0; i < n; ++i) {
        const auto g = static_cast<double>(gate[i]), u = static_cast<double>(up[i]);
        const auto d = static_cast<double>(dy[i]);
        const double s = 1 / (1 + std::exp(-g));
        INFO(isa_name(isa) << " gate " << g);
        REQUIRE(std::fabs(static_cast<double>(got.up[i]) - d * g * s) <=
                4 * 1.2e-7 * std::fabs(d * g * s) + 1e-37);
        const double slope = s * (1 + g * (1 - s));
        REQUIRE(std::fabs(static_cast<double>(got.gate[i]) - d * u * slope) <=
                1.3e-6 * std::fabs(d * u));
      }
      const Sides several = backward(isa, gate, up, dy, *make_thread_workers(3));
      CHECK(same_bits(several.gate, got.gate));
      CHECK(same_bits(several.up, got.up));
      Sides in_place{dy, up};
      gated_silu_backward(isa, serial_workers(), static_cast<index_t>(n), gate.data(),
                          in_place.up.data(), in_place.gate.data(), in_place.gate.data(),
                          in_place.up.data());
      CHECK(same_bits(in_place.gate, got.gate));
      CHECK(same_bits(in_place.up, got.up));
    }
  }
}

TEST_CASE("fill_zeros leaves nothing but zeros", "[elementwise][threads]") {
  for (const std::size_t n : {0U, 1U, 16385U, 50000U}) {
    std::vector<float> y(n + 1, 7);
    fill_zeros(*make_thread_workers(3), static_cast<index_t>(n), y.data());
    CHECK(std::count(y.begin(), y.end(), 0.0F) == static_cast<std::ptrdiff_t>(n));
    CHECK(y.back() == 7);
  }
}
