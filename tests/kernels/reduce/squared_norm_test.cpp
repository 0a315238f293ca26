#include "kernels/reduce/squared_norm.hpp"

#include "support/numbers.hpp"

#include <catch2/catch.hpp>

#include <cmath>

using namespace attn::kernels;
using namespace attn::test;

TEST_CASE("squared_norm is that of float64 at every level and on any number of threads",
          "[reduce][isa][threads]") {
  for (const std::size_t n : {0U, 1U, 7U, 8U, 31U, 33U, 1000U, 16385U, 3000001U}) {
    const auto x = random_values<float>(n, 4, -1e20, 1e20);  // whose squares no float holds
    long double exact = 0;
    for (const float v : x) exact += static_cast<long double>(v) * static_cast<long double>(v);
    const auto bound = [&](double got) {
      return std::fabs(got - static_cast<double>(exact)) <= 1e-13 * static_cast<double>(exact);
    };
    const auto count = static_cast<index_t>(n);
    CHECK(bound(squared_norm(Isa::scalar, serial_workers(), count, converted<double>(x).data())));
    for (const Isa isa : supported_isas()) {
      INFO(isa_name(isa) << " n=" << n);
      const double alone = squared_norm(isa, serial_workers(), count, x.data());
      CHECK(bound(alone));
      CHECK(squared_norm(isa, *make_thread_workers(2), count, x.data()) == alone);
      CHECK(squared_norm(isa, *make_thread_workers(5), count, x.data()) == alone);
    }
  }
  const std::vector<float> bad{1, NAN, 2};
  for (const Isa isa : supported_isas()) {
    CHECK(std::isnan(squared_norm(isa, serial_workers(), 3, bad.data())));
  }
}
