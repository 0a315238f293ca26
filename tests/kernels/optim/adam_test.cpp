#include "kernels/optim/adam.hpp"

#include "support/numbers.hpp"

#include <catch2/catch.hpp>

using namespace attn::kernels;
using namespace attn::test;

namespace {

template <class T>
struct Moments {
  std::vector<T> p, m, v;
};

template <class T>
Moments<T> after_steps(Isa isa, Workers& workers, std::size_t n, int steps, double weight_decay) {
  Moments<T> s{converted<T>(random_values<float>(n, 1)), std::vector<T>(n), std::vector<T>(n)};
  for (int t = 1; t <= steps; ++t) {
    const auto grad = converted<T>(random_values<float>(n, static_cast<std::uint32_t>(t) + 10));
    AdamArgs<T> args;
    args.n = static_cast<index_t>(n);
    args.param = s.p.data();
    args.m = s.m.data();
    args.v = s.v.data();
    args.grad = grad.data();
    args.step = t;
    args.lr = 1e-2;
    args.weight_decay = weight_decay;
    adam(isa, workers, args);
  }
  return s;
}

}  // namespace

TEST_CASE("adam follows the float64 update at every level and length", "[adam]") {
  for (const Isa isa : supported_isas()) {
    for (const std::size_t n : {0U, 1U, 7U, 16U, 33U, 1000U}) {
      for (const double decay : {0.0, 0.1}) {
        const auto exact = after_steps<double>(Isa::scalar, serial_workers(), n, 5, decay);
        const auto got = after_steps<float>(isa, serial_workers(), n, 5, decay);
        INFO(isa_name(isa) << " n=" << n);
        // five steps of at most lr each, every one rounded a dozen times at a magnitude below 2
        REQUIRE(largest_difference(got.p, exact.p) <= 5 * 12 * 1.2e-7);
        REQUIRE(largest_difference(got.m, exact.m) <= 1e-6);
        REQUIRE(largest_difference(got.v, exact.v) <= 1e-6);
      }
    }
  }
}

TEST_CASE("the first adam step moves every parameter by the learning rate", "[adam]") {
  std::vector<double> p{1, 2, 3}, m(3), v(3);
  const std::vector<double> g{0.5, -2, 1e-3};
  AdamArgs<double> args{3, p.data(), m.data(), v.data(), g.data(), 1};
  adam(Isa::scalar, serial_workers(), args);
  REQUIRE(p[0] == Approx(1 - 1e-3).epsilon(1e-7));
  REQUIRE(p[1] == Approx(2 + 1e-3).epsilon(1e-7));
  REQUIRE(p[2] == Approx(3 - 1e-3).epsilon(1e-7));
}

TEST_CASE("adam corrects its moments' bias at early and late steps", "[adam]") {
  for (const std::int64_t t : {1LL, 2LL, 3LL, 200LL, 12345LL, 1000000LL, 1LL << 40}) {
    double p = 0, m = 0, v = 0;
    const double g = 0.5;
    AdamArgs<double> args{1, &p, &m, &v, &g, t};
    adam(Isa::scalar, serial_workers(), args);
    const auto step = static_cast<double>(t);
    const double mean = 0.1 * g / (1 - std::pow(0.9, step));
    const double deviation = std::sqrt(0.001 * g * g / (1 - std::pow(0.999, step)));
    INFO("step " << t);
    REQUIRE(p == Approx(-1e-3 * mean / (deviation + 1e-8)).epsilon(1e-12));
  }
}

TEST_CASE("adam gives the same bits on any number of threads", "[adam][threads]") {
  for (const Isa isa : supported_isas()) {
    const auto alone = after_steps<float>(isa, serial_workers(), 50001, 3, 0.01);
    for (const int threads : {2, 3, 8}) {
      const auto workers = make_workers(threads);
      REQUIRE(same_bits(after_steps<float>(isa, *workers, 50001, 3, 0.01).p, alone.p));
    }
  }
}

TEST_CASE("a scaled gradient is what adam sees", "[adam]") {
  const auto g = random_values<float>(37, 3);
  auto quarter = g;
  for (float& v : quarter) v *= 0.25F;
  for (const Isa isa : supported_isas()) {
    const auto update = [&](const std::vector<float>& grad, double scale) {
      Moments<float> s{random_values<float>(37, 1), std::vector<float>(37), std::vector<float>(37)};
      AdamArgs<float> args{37, s.p.data(), s.m.data(), s.v.data(), grad.data()};
      args.gradient_scale = scale;
      adam(isa, serial_workers(), args);
      return s;
    };
    const auto scaled = update(g, 0.25), plain = update(quarter, 1);
    CHECK(same_bits(scaled.p, plain.p));
    CHECK(same_bits(scaled.m, plain.m));
    CHECK(same_bits(scaled.v, plain.v));
  }
}
