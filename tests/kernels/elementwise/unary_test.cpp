#include "kernels/elementwise/elementwise.hpp"
#include "support/numbers.hpp"

#include <catch2/catch.hpp>

#include <bit>
#include <cmath>
#include <limits>
#include <numbers>

using namespace attn::kernels;
using namespace attn::test;

namespace {

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float quiet_nan = std::numeric_limits<float>::quiet_NaN();

// The bounds that elementwise.hpp and math_simd.hpp state, in units in the last place for |x| below
// the magnitude.
struct Case {
  const char* name;
  Unary function;
  double ulps;
  float magnitude;
};
constexpr Case cases[] = {{"exp", Unary::exp, 1, inf},
                          {"tanh", Unary::tanh, 2, inf},
                          {"sigmoid", Unary::sigmoid, 2, inf},
                          {"relu", Unary::relu, 0, inf},
                          {"gelu", Unary::gelu, 5, inf},
                          {"gelu near 0", Unary::gelu, 3, 3},
                          {"gelu_tanh", Unary::gelu_tanh, 2, inf},
                          {"silu", Unary::silu, 2, inf}};

template <class T>
std::vector<T> applied(Isa isa, Workers& workers, Unary function, const std::vector<T>& x) {
  std::vector<T> y(x.size());
  unary(isa, workers, function, static_cast<index_t>(x.size()), x.data(), y.data());
  return y;
}

// Every `stride`-th bit pattern of a float, twenty times as many where the functions bend (2⁻⁶ ≤
// |x| < 16), then the neighbourhoods of where a version changes its course and of the ends of the
// range.
std::vector<float> inputs(std::uint64_t stride) {
  std::vector<float> x;
  const auto every = [&x](std::uint64_t first, std::uint64_t end, std::uint64_t step) {
    for (std::uint64_t bits = first; bits < end; bits += step) {
      x.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
    }
  };
  every(0, std::uint64_t{1} << 32, stride);
  for (const float sign : {1.0F, -1.0F}) {
    every(std::bit_cast<std::uint32_t>(sign * 0x1p-6F), std::bit_cast<std::uint32_t>(sign * 16.0F),
          stride / 20);
  }
  const float edges[] = {0,          inf,       std::numeric_limits<float>::min(),
                         88.722839F, 87.33654F, 103.972F,
                         0.6F,       9.01F,     40,
                         12,         15,        10.5F,
                         14.4F,      120,       16.63F};
  for (const float edge : edges) {
    const auto bits = std::bit_cast<std::uint32_t>(edge);
    for (std::uint32_t i = 0; i < 200; ++i) {
      const float value = std::bit_cast<float>(bits >= 100 ? bits - 100 + i : i);
      x.push_back(value);
      x.push_back(-value);
    }
  }
  return x;
}

}  // namespace

TEST_CASE("unary functions keep their bounds over all floats", "[elementwise][unary]") {
  const auto x = inputs(9973);
  for (const Case& c : cases) {
    const auto exact = applied(Isa::scalar, serial_workers(), c.function, converted<double>(x));
    for (const Isa isa : supported_isas()) {
      const auto got = applied(isa, serial_workers(), c.function, x);
      double worst = 0;
      float at = 0;
      for (std::size_t i = 0; i < x.size(); ++i) {
        if (std::fabs(x[i]) > c.magnitude) continue;
        const double ulps = ulp_error(got[i], exact[i]);
        if (ulps > worst) {
          worst = ulps;
          at = x[i];
        }
      }
      INFO(isa_name(isa) << " " << c.name << ", worst at " << at);
      CHECK(worst <= c.ulps);
    }
  }
}

TEST_CASE("unary functions at zeros, infinities and NaN", "[elementwise][unary]") {
  struct Expected {
    Unary function;
    float of_infinity, of_negative_infinity, of_zero, of_negative_zero;
  };
  // of the gates the sign says from where 0 is approached
  const Expected table[] = {
      {Unary::exp, inf, 0, 1, 1},          {Unary::tanh, 1, -1, 0, -0.0F},
      {Unary::sigmoid, 1, 0, 0.5F, 0.5F},  {Unary::relu, inf, 0, 0, -0.0F},
      {Unary::gelu, inf, -0.0F, 0, -0.0F}, {Unary::gelu_tanh, inf, -0.0F, 0, -0.0F},
      {Unary::silu, inf, -0.0F, 0, -0.0F}};
  for (const Isa isa : supported_isas()) {
    for (const Expected& e : table) {
      const std::vector<float> x{inf, -inf, 0, -0.0F, quiet_nan};
      const auto y = applied(isa, serial_workers(), e.function, x);
      INFO(isa_name(isa) << " function " << static_cast<int>(e.function));
      const std::vector<float> expected{e.of_infinity, e.of_negative_infinity, e.of_zero,
                                        e.of_negative_zero};
      CHECK(same_bits(std::vector<float>(y.begin(), y.end() - 1), expected));
      CHECK(std::isnan(y[4]));
    }
  }
}

TEST_CASE("the double truth agrees with the functions' definitions", "[elementwise][unary]") {
  const auto x = random_values<double>(200, 5, -6, 6);
  const auto of = [&](Unary function) {
    return applied(Isa::scalar, serial_workers(), function, x);
  };
  const auto exps = of(Unary::exp), tanhs = of(Unary::tanh), sigmoids = of(Unary::sigmoid);
  const auto relus = of(Unary::relu), gelus = of(Unary::gelu), gelu_tanhs = of(Unary::gelu_tanh);
  const auto silus = of(Unary::silu);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double v = x[i], u = std::sqrt(2 / std::numbers::pi) * (v + 0.044715 * v * v * v);
    // where the textbook's form cancels, its own error is of the size of x
    CHECK(exps[i] == Approx(std::exp(v)).epsilon(1e-14));
    CHECK(tanhs[i] == Approx(std::tanh(v)).epsilon(1e-14));
    CHECK(sigmoids[i] == Approx(1 / (1 + std::exp(-v))).epsilon(1e-14));
    CHECK(relus[i] == (v > 0 ? v : 0));
    CHECK(gelus[i] ==
          Approx(v / 2 * (1 + std::erf(v / std::sqrt(2)))).epsilon(1e-14).margin(1e-14));
    CHECK(gelu_tanhs[i] == Approx(v / 2 * (1 + std::tanh(u))).epsilon(1e-14).margin(1e-14));
    CHECK(silus[i] == Approx(v / (1 + std::exp(-v))).epsilon(1e-14));
  }
}

TEST_CASE("a unary function's bits depend on its argument alone", "[elementwise][unary][threads]") {
  // several chunks, and a tail of every length within a vector
  const auto x = random_values<float>(50021, 7, -8, 8);
  for (const Isa isa : supported_isas()) {
    for (const Case& c : cases) {
      const auto whole = applied(isa, serial_workers(), c.function, x);
      INFO(isa_name(isa) << " " << c.name);
      for (const int threads : {2, 3, 8}) {
        const auto workers = make_workers(threads);
        REQUIRE(same_bits(applied(isa, *workers, c.function, x), whole));
      }
      for (std::size_t n = 0; n <= 33; ++n) {
        std::vector<float> y(n + 2, 42);
        unary(isa, serial_workers(), c.function, static_cast<index_t>(n), x.data() + n,
              y.data() + 1);
        REQUIRE(same_bits(std::span<const float>(y).subspan(1, n),
                          std::span<const float>(whole).subspan(n, n)));
        REQUIRE(y.front() == 42);
        REQUIRE(y.back() == 42);
      }
      auto in_place = x;
      unary(isa, serial_workers(), c.function, static_cast<index_t>(x.size()), in_place.data(),
            in_place.data());
      REQUIRE(same_bits(in_place, whole));
    }
  }
}
