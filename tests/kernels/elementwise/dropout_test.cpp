#include "kernels/elementwise/dropout.hpp"

#include "support/numbers.hpp"

#include <catch2/catch.hpp>

#include <cmath>

using namespace attn::kernels;
using namespace attn::test;

namespace {

template <class T>
std::vector<T> dropped(Isa isa, double rate, std::uint64_t seed, std::int32_t counter,
                       const std::vector<T>& x, Workers& workers = serial_workers()) {
  std::vector<T> y(x.size(), T(-7));
  dropout(isa, workers, rate, seed, counter, static_cast<index_t>(x.size()), x.data(), y.data());
  return y;
}

// Σ over the elements of what two masks say: 1 where both keep, for unrelated ones (1 − rate)².
double kept_by_both(const std::vector<float>& a, const std::vector<float>& b) {
  std::size_t both = 0;
  for (std::size_t i = 0; i < a.size(); ++i) both += a[i] != 0 && b[i] != 0 ? 1 : 0;
  return static_cast<double>(both) / static_cast<double>(a.size());
}

}  // namespace

TEST_CASE("dropout keeps its share, scaled, and is the same at every level and on any threads",
          "[dropout][isa][threads]") {
  for (const std::size_t n : {0U, 1U, 15U, 17U, 511U, 513U, 50003U}) {
    const auto x = random_values<float>(n, 3, 0.5, 1.5);
    for (const double rate : {0.0, 0.1, 0.5, 0.9}) {
      const auto truth = dropped(Isa::scalar, rate, 5, 9, x);
      std::size_t kept = 0;
      for (std::size_t i = 0; i < n; ++i) {
        if (truth[i] == 0) continue;
        ++kept;
        CHECK(truth[i] == x[i] * static_cast<float>(1 / (1 - rate)));
      }
      // five standard deviations
      const auto count = static_cast<double>(n);
      CHECK(std::fabs(static_cast<double>(kept) - count * (1 - rate)) <=
            5 * std::sqrt(count * rate * (1 - rate)));
      const auto wide = dropped(Isa::scalar, rate, 5, 9, converted<double>(x));
      for (std::size_t i = 0; i < n; ++i) CHECK((wide[i] == 0) == (truth[i] == 0));
      for (const Isa isa : supported_isas()) {
        INFO(isa_name(isa) << " n=" << n << " rate " << rate);
        CHECK(same_bits(dropped(isa, rate, 5, 9, x), truth));
        CHECK(same_bits(dropped(isa, rate, 5, 9, x, *make_thread_workers(3)), truth));
        std::vector<float> in_place = x;
        dropout(isa, serial_workers(), rate, 5, 9, static_cast<index_t>(n), in_place.data(),
                in_place.data());
        CHECK(same_bits(in_place, truth));
      }
    }
  }
}

TEST_CASE("what dropout drops has nothing to do with other counters, seeds and places",
          "[dropout]") {
  const std::vector<float> x(200000, 1);
  const auto base = dropped(Isa::scalar, 0.5, 5, 0, x);
  // five standard deviations of a share of 200000
  constexpr double bound = 5 * 0.433 / 447;
  for (const auto& [seed, counter] : {std::pair{5U, 1}, {5U, 2}, {5U, -1}, {6U, 0}, {4U, 1}}) {
    const auto other = dropped(Isa::scalar, 0.5, seed, counter, x);
    CHECK(std::fabs(kept_by_both(base, other) - 0.25) <= bound);
  }
  for (const std::ptrdiff_t shift : {1, 2, 16, 64, 576, 16384}) {
    std::vector<float> moved(base.begin() + shift, base.end());
    moved.resize(base.size());
    CHECK(std::fabs(kept_by_both(base, moved) - 0.25 * (1 - static_cast<double>(shift) / 200000)) <=
          bound);
  }
}

TEST_CASE("what is dropped is 0 whatever it was", "[dropout][isa]") {
  const std::vector<float> x(100, NAN);
  for (const Isa isa : supported_isas()) {
    const auto y = dropped(isa, 0.5, 1, 1, x);
    CHECK(std::count(y.begin(), y.end(), 0.0F) > 20);
    CHECK(std::count_if(y.begin(), y.end(), [](float v) { return std::isnan(v); }) > 20);
  }
}
