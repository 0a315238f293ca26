#include "kernels/softmax/cross_entropy.hpp"

#include "support/numbers.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>

using namespace attn::kernels;
using namespace attn::test;

namespace {

template <class T>
struct Outcome {
  std::vector<T> z;
  std::vector<double> losses;
};

template <class T>
Outcome<T> run(Isa isa, index_t cols, const std::vector<std::int32_t>& targets,
               const std::vector<float>& z, bool gradient, Workers& workers = serial_workers()) {
  Outcome<T> o{converted<T>(z), std::vector<double>(targets.size(), -7)};
  cross_entropy(isa, workers, static_cast<index_t>(targets.size()), cols, targets.data(), T(0.25),
                gradient, o.z.data(), o.losses.data());
  return o;
}

}  // namespace

TEST_CASE("cross-entropy follows float64 at every level and length", "[cross_entropy][isa]") {
  for (const Isa isa : supported_isas()) {
    for (const index_t cols : {1, 2, 7, 15, 16, 17, 64, 67, 1000, 32003}) {
      for (const double spread : {1.0, 40.0}) {
        INFO(isa_name(isa) << " " << cols << " columns, ±" << spread);
        const std::vector<std::int32_t> targets{0, static_cast<std::int32_t>(cols - 1),
                                                static_cast<std::int32_t>(cols / 2)};
        const auto z = random_values<float>(static_cast<std::size_t>(3 * cols), 5, -spread, spread);
        const auto exact = run<double>(Isa::scalar, cols, targets, z, true);
        const auto got = run<float>(isa, cols, targets, z, true);
        const auto loss_alone = run<float>(isa, cols, targets, z, false);
        CHECK(got.losses == loss_alone.losses);
        for (std::size_t r = 0; r < 3; ++r) {
          const double bound = 1e-6 * (1 + exact.losses[r]) + 1.2e-7 * spread;
          CHECK(std::fabs(got.losses[r] - exact.losses[r]) <= bound);
        }
        CHECK(largest_difference(got.z, exact.z) <= 0.25 * 1e-6);
      }
    }
  }
}

TEST_CASE("a target that softmax rounds to 0 still has its loss", "[cross_entropy][isa]") {
  for (const Isa isa : supported_isas()) {
    std::vector<float> z(40, -500);
    z[3] = 700;
    const auto got = run<float>(isa, 40, {20}, z, true);
    CHECK(got.losses[0] == Approx(1200));
    CHECK(got.z[20] == -0.25F);
    CHECK(got.z[3] == 0.25F);
  }
}

TEST_CASE("what is no number makes its own row's loss none", "[cross_entropy][isa]") {
  constexpr float inf = std::numeric_limits<float>::infinity();
  for (const Isa isa : supported_isas()) {
    for (const float bad : {NAN, inf}) {
      for (const std::size_t at : {0U, 16U, 34U, 36U}) {
        std::vector<float> z = random_values<float>(std::size_t{2} * 37, 6);
        z[37 + at] = bad;
        const auto got = run<float>(isa, 37, {4, 4}, z, true);
        INFO(isa_name(isa) << " " << bad << " at " << at);
        CHECK(std::isfinite(got.losses[0]));
        CHECK(std::isnan(got.losses[1]));
        CHECK(std::isnan(got.z[37 + 4]));
      }
    }
    const auto nothing = run<float>(isa, 37, {4}, std::vector<float>(37, -inf), true);
    CHECK(std::isnan(nothing.losses[0]));
  }
}

TEST_CASE("cross-entropy has the same bits on any number of threads", "[cross_entropy][threads]") {
  const std::vector<std::int32_t> targets(60, 11);
  const auto z = random_values<float>(60 * 3001, 7, -9, 9);
  for (const Isa isa : supported_isas()) {
    const auto alone = run<float>(isa, 3001, targets, z, true);
    for (const int threads : {2, 5}) {
      const auto several = run<float>(isa, 3001, targets, z, true, *make_thread_workers(threads));
      CHECK(same_bits(several.z, alone.z));
      CHECK(same_bits(several.losses, alone.losses));
    }
  }
}
