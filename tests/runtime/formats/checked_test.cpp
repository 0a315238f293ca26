#include "runtime/formats/checked.hpp"

#include <catch2/catch.hpp>

#include <limits>
#include <vector>

using namespace attn::runtime;

TEST_CASE("checked arithmetic agrees with 8-bit arithmetic done wider", "[formats][checked]") {
  for (int a = 0; a <= 255; ++a) {
    for (int b = 0; b <= 255; ++b) {
      const auto x = static_cast<std::uint8_t>(a), y = static_cast<std::uint8_t>(b);
      const auto sum = checked_add(x, y), product = checked_multiply(x, y);
      REQUIRE(sum.has_value() == (a + b <= 255));
      REQUIRE(product.has_value() == (a * b <= 255));
      if (sum) REQUIRE(*sum == a + b);
      if (product) REQUIRE(*product == a * b);
    }
  }
}

TEST_CASE("elements of a shape", "[formats][checked]") {
  const auto elements = [](const std::vector<std::int64_t>& shape) {
    return checked_elements(shape);
  };
  const std::int64_t huge = std::int64_t{1} << 40;
  REQUIRE(elements({}) == 1);
  REQUIRE(elements({2, 3, 4}) == 24);
  REQUIRE(elements({7, 0, 5}) == 0);
  REQUIRE(elements({std::numeric_limits<std::int64_t>::max()}).has_value());
  REQUIRE_FALSE(elements({huge, huge}).has_value());
  // whether a shape is accepted must not depend on where its zero stands
  REQUIRE_FALSE(elements({0, huge, huge}).has_value());
  REQUIRE_FALSE(elements({huge, huge, 0}).has_value());
  REQUIRE_FALSE(elements({2, -1}).has_value());
  REQUIRE_FALSE(elements({-1, 0}).has_value());
}
