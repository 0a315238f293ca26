#include "kernels/reduce/reduce.hpp"

#include "support/numbers.hpp"

#include <catch2/catch.hpp>

using namespace attn::kernels;
using namespace attn::test;

namespace {

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr double unit = 0x1p-24;  // half a unit in the last place of 1

// Additions that a term of an n-term sum goes through: a block's chain, the pairwise levels, the
// lanes.
double additions(double n) { return 40 + std::log2(n + 1); }

double exact_sum(const float* x, std::size_t n, std::size_t stride = 1) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += static_cast<double>(x[i * stride]);
  return sum;
}

double exact_power(const float* x, std::size_t n, std::size_t stride = 1) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += std::fabs(static_cast<double>(x[i * stride]));
  return sum;
}

std::vector<float> reduced(Isa isa, Workers& workers, Reduce op, std::size_t rows, std::size_t cols,
                           const float* x) {
  std::vector<float> y(rows);
  reduce_rows(isa, workers, op, static_cast<index_t>(rows), static_cast<index_t>(cols), x,
              y.data());
  return y;
}

std::vector<float> column_sums(Isa isa, Workers& workers, std::size_t rows, std::size_t cols,
                               const float* x, std::size_t stride) {
  std::vector<float> y(cols, not_a_number);  // overwritten, not added to
  sum_columns(isa, workers, static_cast<index_t>(rows), static_cast<index_t>(cols), x,
              static_cast<index_t>(stride), y.data());
  return y;
}

}  // namespace

TEST_CASE("reduce_rows is within the bound of its order of additions", "[reduce]") {
  for (const Isa isa : supported_isas()) {
    for (const std::size_t cols :
         {1U, 2U, 4U, 7U, 8U, 15U, 16U, 17U, 63U, 65U, 100U, 768U, 1025U, 2047U, 3000U, 10001U}) {
      constexpr std::size_t rows = 5;
      const auto x = random_values(1 + rows * cols, 1, -1, 3);
      const auto sums = reduced(isa, serial_workers(), Reduce::sum, rows, cols, x.data() + 1);
      const auto means = reduced(isa, serial_workers(), Reduce::mean, rows, cols, x.data() + 1);
      const auto tops = reduced(isa, serial_workers(), Reduce::max, rows, cols, x.data() + 1);
      for (std::size_t r = 0; r < rows; ++r) {
        INFO(isa_name(isa) << " cols=" << cols << " row=" << r);
        const float* row = x.data() + 1 + r * cols;
        const double exact = exact_sum(row, cols);
        const auto count = static_cast<double>(cols);
        const double bound = additions(count) * unit * exact_power(row, cols);
        REQUIRE(std::fabs(static_cast<double>(sums[r]) - exact) <= bound);
        REQUIRE(std::fabs(static_cast<double>(means[r]) - exact / count) <=
                bound / count + unit * std::fabs(exact / count));
        float top = -inf;
        for (std::size_t c = 0; c < cols; ++c) top = std::max(top, row[c]);
        REQUIRE(tops[r] == top);
      }
    }
  }
}

TEST_CASE("sums of small integers are exact", "[reduce]") {
  for (const Isa isa : supported_isas()) {
    for (const std::size_t n : {1U, 3U, 16U, 33U, 1024U, 5000U}) {
      std::vector<float> x(n), w(n);
      double sum = 0, product = 0;
      for (std::size_t i = 0; i < n; ++i) {
        x[i] = static_cast<float>(static_cast<int>(i * 7 % 11) - 5);
        w[i] = static_cast<float>(static_cast<int>(i * 3 % 7) - 3);
        sum += static_cast<double>(x[i]);
        product += static_cast<double>(x[i]) * static_cast<double>(w[i]);
      }
      INFO(isa_name(isa) << " n=" << n);
      REQUIRE(static_cast<double>(reduced(isa, serial_workers(), Reduce::sum, 1, n, x.data())[0]) ==
              sum);
      REQUIRE(static_cast<double>(dot(isa, static_cast<index_t>(n), x.data(), w.data())) ==
              product);
      REQUIRE(static_cast<double>(column_sums(isa, serial_workers(), n, 1, x.data(), 1)[0]) == sum);
    }
  }
}

TEST_CASE("a million equal terms lose nothing to the order of additions", "[reduce]") {
  // one after the other they would stop growing at 2^24 · 0.1 and be off by 1e-2 before
  constexpr std::size_t n = 1000000;
  const std::vector<float> x(n, 0.1F);
  const std::vector<float> ones(n, 1.0F);
  const double exact = n * static_cast<double>(0.1F);
  for (const Isa isa : supported_isas()) {
    INFO(isa_name(isa));
    const double bound = 64 * unit * exact;
    CHECK(std::fabs(
              static_cast<double>(reduced(isa, serial_workers(), Reduce::sum, 1, n, x.data())[0]) -
              exact) <= bound);
    CHECK(std::fabs(static_cast<double>(dot(isa, n, x.data(), ones.data())) - exact) <= bound);
    CHECK(std::fabs(
              static_cast<double>(column_sums(isa, serial_workers(), n / 4, 4, x.data(), 4)[2]) -
              exact / 4) <= bound);
  }
}

TEST_CASE("reductions of nothing", "[reduce]") {
  for (const Isa isa : supported_isas()) {
    REQUIRE(reduced(isa, serial_workers(), Reduce::sum, 1, 0, nullptr)[0] == 0);
    REQUIRE(reduced(isa, serial_workers(), Reduce::max, 1, 0, nullptr)[0] == -inf);
    REQUIRE(std::isnan(reduced(isa, serial_workers(), Reduce::mean, 1, 0, nullptr)[0]));
    REQUIRE(reduced(isa, serial_workers(), Reduce::sum, 0, 4, nullptr).empty());
    REQUIRE(dot<float>(isa, 0, nullptr, nullptr) == 0);
    for (const std::size_t cols : {1U, 16U, 100U, 2000U}) {
      REQUIRE(column_sums(isa, serial_workers(), 0, cols, nullptr, cols) ==
              std::vector<float>(cols, 0.0F));
    }
    REQUIRE(column_sums(isa, serial_workers(), 3, 0, nullptr, 0).empty());
  }
}

TEST_CASE("a NaN anywhere in a row is its maximum and its sum; infinities count as numbers",
          "[reduce]") {
  for (const Isa isa : supported_isas()) {
    for (const std::size_t cols : {1U, 5U, 16U, 40U, 77U}) {
      for (std::size_t at = 0; at < cols; ++at) {
        INFO(isa_name(isa) << " cols=" << cols << " at=" << at);
        auto x = random_values(cols, 2);
        x[at] = not_a_number;
        REQUIRE(std::isnan(reduced(isa, serial_workers(), Reduce::max, 1, cols, x.data())[0]));
        REQUIRE(std::isnan(reduced(isa, serial_workers(), Reduce::sum, 1, cols, x.data())[0]));
        x[at] = inf;
        REQUIRE(reduced(isa, serial_workers(), Reduce::max, 1, cols, x.data())[0] == inf);
        REQUIRE(reduced(isa, serial_workers(), Reduce::sum, 1, cols, x.data())[0] == inf);
      }
      const std::vector<float> low(cols, -inf);
      REQUIRE(reduced(isa, serial_workers(), Reduce::max, 1, cols, low.data())[0] == -inf);
    }
  }
}

TEST_CASE("sum_columns is within its bound for any rows, columns and stride", "[reduce]") {
  for (const Isa isa : supported_isas()) {
    for (const std::size_t cols : {1U, 4U, 8U, 13U, 16U, 17U, 100U, 769U, 1024U, 1500U}) {
      for (const std::size_t rows : {1U, 2U, 5U, 13U, 33U, 600U}) {
        const std::size_t stride = cols + 3;
        const auto x = random_values(1 + rows * stride, 3, -1, 2);
        const auto y = column_sums(isa, serial_workers(), rows, cols, x.data() + 1, stride);
        for (std::size_t c = 0; c < cols; ++c) {
          const float* column = x.data() + 1 + c;
          const double bound =
              additions(static_cast<double>(rows)) * 2 * unit * exact_power(column, rows, stride);
          if (!(std::fabs(static_cast<double>(y[c]) - exact_sum(column, rows, stride)) <= bound)) {
            FAIL(isa_name(isa) << " rows=" << rows << " cols=" << cols << " c=" << c);
          }
        }
      }
    }
  }
  SUCCEED();
}

TEST_CASE("dot is within its bound at every length", "[reduce]") {
  for (const Isa isa : supported_isas()) {
    for (const std::size_t n : {1U, 4U, 15U, 16U, 17U, 64U, 100U, 1023U, 4096U, 9999U}) {
      const auto x = random_values(n + 1, 4), w = random_values(n + 1, 5);
      double exact = 0, power = 0;
      for (std::size_t i = 1; i <= n; ++i) {
        const double term = static_cast<double>(x[i]) * static_cast<double>(w[i]);
        exact += term;
        power += std::fabs(term);
      }
      INFO(isa_name(isa) << " n=" << n);
      const auto got =
          static_cast<double>(dot(isa, static_cast<index_t>(n), x.data() + 1, w.data() + 1));
      REQUIRE(std::fabs(got - exact) <= (additions(static_cast<double>(n)) + 1) * unit * power);
    }
  }
}

TEST_CASE("a row's reduction has the same bits alone and among eight", "[reduce][rows]") {
  for (const Isa isa : supported_isas()) {
    for (const std::size_t cols : {3U, 16U, 33U, 768U, 3000U}) {
      const auto x = random_values(8 * cols, 6);
      for (const Reduce op : {Reduce::sum, Reduce::mean, Reduce::max}) {
        const auto together = reduced(isa, serial_workers(), op, 8, cols, x.data());
        for (std::size_t r = 0; r < 8; ++r) {
          INFO(isa_name(isa) << " cols=" << cols << " row=" << r);
          REQUIRE(reduced(isa, serial_workers(), op, 1, cols, x.data() + r * cols)[0] ==
                  together[r]);
        }
      }
    }
  }
}

TEST_CASE("reductions give the same bits on any number of threads", "[reduce][threads]") {
  struct Shape {
    std::size_t rows, cols;
  };
  for (const Isa isa : supported_isas()) {
    for (const auto [rows, cols] : {Shape{300, 769}, Shape{20000, 4}, Shape{40, 1500}}) {
      const auto x = random_values(rows * cols, 7);
      const auto sums = reduced(isa, serial_workers(), Reduce::sum, rows, cols, x.data());
      const auto columns = column_sums(isa, serial_workers(), rows, cols, x.data(), cols);
      for (const int threads : {2, 3, 8}) {
        const auto workers = make_workers(threads);
        REQUIRE(same_bits(reduced(isa, *workers, Reduce::sum, rows, cols, x.data()), sums));
        REQUIRE(same_bits(column_sums(isa, *workers, rows, cols, x.data(), cols), columns));
      }
    }
  }
}
