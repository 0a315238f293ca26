#include "kernels/elementwise/elementwise.hpp"
#include "kernels/elementwise/every_float.hpp"
#include "support/numbers.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>
#include <numbers>

using namespace attn::kernels;
using namespace attn::test;

namespace {

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float quiet_nan = std::numeric_limits<float>::quiet_NaN();

template <class T>
std::vector<T> applied(Isa isa, Workers& workers, Unary function, const std::vector<T>& x) {
  std::vector<T> y(x.size());
  unary(isa, workers, function, static_cast<index_t>(x.size()), x.data(), y.data());
  return y;
}

}  // namespace

// Every float there is: test_numerics --all.
TEST_CASE("unary functions keep their bounds over a sample of all floats", "[elementwise][unary]") {
  for (const UnaryBound& bound : unary_bounds) {
    const auto sample = stretches(bound.first, bound.last, 9973);
    const auto worst = worst_errors(serial_workers(), sample, UnaryValues{bound.function});
    for (std::size_t level = 0; level < worst.size(); ++level) {
      INFO(isa_name(supported_isas()[level]) << " " << bound.name << " at " << worst[level].at);
      CHECK(worst[level].error <= bound.ulps);
    }
  }
}

TEST_CASE("an error in units in the last place", "[elementwise][unary]") {
  CHECK(ulp_error(1, 1) == 0);
  CHECK(ulp_error(1 + 0x1p-23F, 1) == 1);
  CHECK(ulp_error(1, 1 - 0x1p-25) == 0.25);    // 1 is the nearest float, and its unit counts
  CHECK(ulp_error(1, 1 - 0x1p-24) == 1);       // a float below 1, where units are halved
  CHECK(ulp_error(0x1p-149F, 0x1p-148) == 1);  // subnormal
  CHECK(ulp_error(-0x1p-149F, 0x1p-149) == 2);
  CHECK(ulp_error(inf, 1e39) == 0);
  CHECK(ulp_error(3e38F, 1e39) == inf);
  CHECK(ulp_error(-inf, 1e39) == inf);
  CHECK(ulp_error(quiet_nan, std::nan("")) == 0);
  CHECK(ulp_error(quiet_nan, 1) == inf);
  CHECK(ulp_error(1, std::nan("")) == inf);
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
    for (const UnaryBound& c : unary_bounds) {
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
