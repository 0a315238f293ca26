#include "kernels/elementwise/elementwise.hpp"

#include "support/numbers.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>

using namespace attn::kernels;
using namespace attn::test;

namespace {

constexpr Binary ops[] = {Binary::add, Binary::sub, Binary::mul};

float combined(Binary op, float a, float b) {
  return op == Binary::add ? a + b : op == Binary::sub ? a - b : a * b;
}

// few columns, tails, rows cut into chunks, rows longer than a chunk
struct Shape {
  std::size_t rows, cols;
};
constexpr Shape shapes[] = {{0, 5},     {5, 0},     {1, 1},     {3, 1},    {7, 3},
                            {1, 52},    {5, 7},     {4, 33},    {9, 16},   {1000, 33},
                            {2, 16384}, {3, 16385}, {1, 40000}, {2, 33000}};

std::vector<float> combined_by(Isa isa, Workers& workers, Binary op, Shape s, bool broadcast,
                               const std::vector<float>& a, const std::vector<float>& b) {
  std::vector<float> y(s.rows * s.cols + 2, 42);
  binary(isa, workers, op, static_cast<index_t>(s.rows), static_cast<index_t>(s.cols), a.data() + 1,
         b.data() + 1, broadcast, y.data() + 1);
  return y;
}

}  // namespace

TEST_CASE("binary operations are exact, with and without broadcasting", "[elementwise][binary]") {
  for (const Shape s : shapes) {
    const std::size_t n = s.rows * s.cols;
    const auto a = random_values<float>(n + 1, 1), b = random_values<float>(n + s.cols + 1, 2);
    for (const bool broadcast : {false, true}) {
      for (const Binary op : ops) {
        std::vector<float> expected(n + 2, 42);
        for (std::size_t i = 0; i < n; ++i) {
          expected[1 + i] = combined(op, a[1 + i], b[1 + (broadcast ? i % s.cols : i)]);
        }
        for (const Isa isa : supported_isas()) {
          INFO(isa_name(isa) << " " << s.rows << "×" << s.cols << " op " << static_cast<int>(op));
          for (const int threads : {1, 2, 3, 8}) {
            const auto workers = make_workers(threads);
            REQUIRE(same_bits(combined_by(isa, *workers, op, s, broadcast, a, b), expected));
          }
        }
      }
    }
  }
}

TEST_CASE("binary operations may overwrite an operand", "[elementwise][binary]") {
  const auto a = random_values<float>(70, 1), b = random_values<float>(70, 2);
  for (const Isa isa : supported_isas()) {
    for (const Binary op : ops) {
      std::vector<float> onto_a = a, onto_b = b, rows = a;
      binary(isa, serial_workers(), op, 7, 10, onto_a.data(), b.data(), false, onto_a.data());
      binary(isa, serial_workers(), op, 7, 10, a.data(), onto_b.data(), false, onto_b.data());
      binary(isa, serial_workers(), op, 7, 10, rows.data(), b.data(), true, rows.data());
      for (std::size_t i = 0; i < a.size(); ++i) {
        REQUIRE(onto_a[i] == combined(op, a[i], b[i]));
        REQUIRE(onto_b[i] == combined(op, a[i], b[i]));
        REQUIRE(rows[i] == combined(op, a[i], b[i % 10]));
      }
    }
  }
}

TEST_CASE("affine and accumulate round once", "[elementwise][affine]") {
  for (const std::size_t n : {0U, 1U, 15U, 16U, 17U, 31U, 50021U}) {
    const auto x = random_values<float>(n + 1, 1), y = random_values<float>(n + 1, 2);
    std::vector<float> mapped(n + 2, 42), summed(n + 2, 42);
    for (std::size_t i = 0; i < n; ++i) {
      mapped[1 + i] = std::fma(0.7F, x[1 + i], -0.3F);
      summed[1 + i] = std::fma(0.7F, x[1 + i], y[1 + i]);
    }
    for (const Isa isa : supported_isas()) {
      for (const int threads : {1, 2, 3, 8}) {
        const auto workers = make_workers(threads);
        const auto count = static_cast<index_t>(n);
        INFO(isa_name(isa) << " n=" << n << " threads " << threads);
        std::vector<float> got(n + 2, 42);
        affine(isa, *workers, count, 0.7F, -0.3F, x.data() + 1, got.data() + 1);
        REQUIRE(same_bits(got, mapped));
        std::copy_n(x.data() + 1, n, got.data() + 1);
        affine(isa, *workers, count, 0.7F, -0.3F, got.data() + 1, got.data() + 1);
        REQUIRE(same_bits(got, mapped));
        std::copy_n(y.data() + 1, n, got.data() + 1);
        accumulate(isa, *workers, count, 0.7F, x.data() + 1, got.data() + 1);
        REQUIRE(same_bits(got, summed));
      }
    }
  }
}
