#include "kernels/elementwise/elementwise.hpp"
#include "support/numbers.hpp"

#include <catch2/catch.hpp>

#include <bit>
#include <cmath>
#include <limits>

using namespace attn::kernels;
using namespace attn::test;

namespace {

constexpr Unary all_functions[] = {Unary::exp,  Unary::tanh,      Unary::sigmoid, Unary::relu,
                                   Unary::gelu, Unary::gelu_tanh, Unary::silu};

template <class T>
std::vector<T> applied(Isa isa, Workers& workers, Unary function, const std::vector<T>& x) {
  std::vector<T> y(x.size());
  unary(isa, workers, function, static_cast<index_t>(x.size()), x.data(), y.data());
  return y;
}

// Every `stride`-th bit pattern of a float: both signs, subnormals, infinities, NaNs.
std::vector<float> patterns(std::uint32_t stride) {
  std::vector<float> x;
  for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += stride) {
    x.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
  }
  return x;
}

struct Worst {
  double ulps = 0;
  float at = 0;
};

Worst worst_of(Isa isa, Unary function, const std::vector<float>& x, double magnitude) {
  const auto got = applied(isa, serial_workers(), function, x);
  const auto exact = applied(Isa::scalar, serial_workers(), function, converted<double>(x));
  Worst worst;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (std::fabs(x[i]) > magnitude) continue;
    const double ulps = ulp_error(got[i], exact[i]);
    if (ulps > worst.ulps) worst = {ulps, x[i]};
  }
  return worst;
}

}  // namespace

TEST_CASE("the functions keep their bounds over all floats", "[elementwise][unary]") {
  struct Bound {
    Unary function;
    double ulps, magnitude;
  };
  constexpr double inf = std::numeric_limits<double>::infinity();
  const Bound bounds[] = {{Unary::exp, 1, inf},    {Unary::tanh, 2, inf}, {Unary::sigmoid, 2, inf},
                          {Unary::relu, 0, inf},   {Unary::silu, 2, inf}, {Unary::gelu, 3, 3},
                          {Unary::gelu_tanh, 3, 3}};
  const auto x = patterns(9973);
  for (const Isa isa : supported_isas()) {
    for (const auto& [function, ulps, magnitude] : bounds) {
      const Worst worst = worst_of(isa, function, x, magnitude);
      INFO(isa_name(isa) << " function " << static_cast<int>(function) << " ulps " << worst.ulps
                         << " at " << worst.at);
      CHECK(worst.ulps <= ulps);
    }
  }
}
