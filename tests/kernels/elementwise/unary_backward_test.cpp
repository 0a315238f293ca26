#include "kernels/elementwise/elementwise.hpp"
#include "support/numbers.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

using namespace attn::kernels;
using namespace attn::test;

namespace {

constexpr Unary functions[] = {Unary::exp,  Unary::tanh,      Unary::sigmoid, Unary::relu,
                               Unary::gelu, Unary::gelu_tanh, Unary::silu};

template <class T>
std::vector<T> gradient(Isa isa, Workers& workers, Unary function, const std::vector<T>& x,
                        const std::vector<T>& dy) {
  std::vector<T> dx(x.size());
  unary_backward(isa, workers, function, static_cast<index_t>(x.size()), x.data(), dy.data(),
                 dx.data());
  return dx;
}

}  // namespace

TEST_CASE("unary derivatives are those of the functions", "[elementwise][unary][backward]") {
  const auto x = random_values<double>(300, 3, -7, 7);
  const std::vector<double> ones(x.size(), 1);
  constexpr double step = 1e-5;
  for (const Unary f : functions) {
    std::vector<double> above(x), below(x);
    for (double& v : above) v += step;
    for (double& v : below) v -= step;
    unary(Isa::scalar, serial_workers(), f, 300, above.data(), above.data());
    unary(Isa::scalar, serial_workers(), f, 300, below.data(), below.data());
    const auto slope = gradient(Isa::scalar, serial_workers(), f, x, ones);
    for (std::size_t i = 0; i < x.size(); ++i) {
      INFO("function " << static_cast<int>(f) << " at " << x[i]);
      // the third derivative's share, step²/6, and the values' rounding over the step
      REQUIRE(slope[i] == Approx((above[i] - below[i]) / (2 * step)).epsilon(1e-9).margin(1e-9));
    }
  }
}

TEST_CASE("unary derivatives in float follow those in double", "[elementwise][unary][backward]") {
  std::vector<float> x = random_values<float>(20000, 4, -20, 20);
  for (const float spread : {0.1F, 110.0F, 1e4F}) {
    for (const float v : random_values<float>(5000, 5)) x.push_back(v * spread);
  }
  for (const float huge : {1e-40F, 1e-20F, 1e20F, 3e38F, std::numeric_limits<float>::infinity()}) {
    x.push_back(huge);
    x.push_back(-huge);
  }
  const std::vector<float> ones(x.size(), 1);
  for (const Unary f : functions) {
    const auto exact =
        gradient(Isa::scalar, serial_workers(), f, converted<double>(x), converted<double>(ones));
    for (const Isa isa : supported_isas()) {
      const auto got = gradient(isa, serial_workers(), f, x, ones);
      double worst = 0;
      float at = 0;
      for (std::size_t i = 0; i < x.size(); ++i) {
        const auto nearest = static_cast<float>(exact[i]);
        if (got[i] == nearest) continue;  // infinities among them
        const double error = std::fabs(got[i] - exact[i]) / std::max(1.0, std::fabs(exact[i]));
        if (!(error <= worst)) {
          worst = error;
          at = x[i];
        }
      }
      INFO(isa_name(isa) << " function " << static_cast<int>(f) << ", worst at " << at);
      CHECK(worst <= 1e-6);
    }
  }
}

TEST_CASE("relu's derivative is 0 at 0, and a NaN stays one", "[elementwise][unary][backward]") {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Isa isa : supported_isas()) {
    const std::vector<float> x{-1, -0.0F, 0, 1e-45F, 2, nan}, dy{3, 3, 3, 3, 3, 3};
    const auto dx = gradient(isa, serial_workers(), Unary::relu, x, dy);
    INFO(isa_name(isa));
    CHECK(std::vector<float>(dx.begin(), dx.end() - 1) == std::vector<float>{0, 0, 0, 3, 3});
    for (const Unary f : functions) {
      INFO("function " << static_cast<int>(f));
      CHECK(std::isnan(gradient(isa, serial_workers(), f, x, dy)[5]));
    }
  }
}

TEST_CASE("a unary gradient's bits depend on x and dy alone",
          "[elementwise][unary][backward][threads]") {
  const auto x = random_values<float>(50021, 7, -8, 8), dy = random_values<float>(50021, 8);
  for (const Isa isa : supported_isas()) {
    for (const Unary f : functions) {
      const auto whole = gradient(isa, serial_workers(), f, x, dy);
      INFO(isa_name(isa) << " function " << static_cast<int>(f));
      for (const int threads : {2, 3, 8}) {
        const auto workers = make_workers(threads);
        REQUIRE(same_bits(gradient(isa, *workers, f, x, dy), whole));
      }
      for (std::size_t n = 0; n <= 33; ++n) {
        std::vector<float> dx(n + 2, 42);
        std::copy_n(dy.data() + n, n, dx.data() + 1);
        unary_backward(isa, serial_workers(), f, static_cast<index_t>(n), x.data() + n,
                       dx.data() + 1, dx.data() + 1);
        REQUIRE(same_bits(std::span<const float>(dx).subspan(1, n),
                          std::span<const float>(whole).subspan(n, n)));
        REQUIRE(dx.front() == 42);
        REQUIRE(dx.back() == 42);
      }
    }
  }
}
