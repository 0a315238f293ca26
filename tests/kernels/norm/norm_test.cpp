#include "kernels/norm/norm.hpp"

#include "kernels/norm/norm_support.hpp"

#include <catch2/catch.hpp>

using namespace attn::kernels;
using namespace attn::test;

namespace {

constexpr std::size_t widths[] = {1, 2, 3, 4, 7, 8, 15, 16, 17, 33, 64, 100, 576, 769, 3000, 9001};

}  // namespace

TEST_CASE("layer_norm has NMSE <= 1e-13 for any width, also where the mean dwarfs the deviations",
          "[norm]") {
  for (const Isa isa : supported_isas()) {
    for (const std::size_t cols : widths) {
      for (const double centre : {0.0, 3.0, -1e4}) {
        INFO(isa_name(isa) << " cols=" << cols << " centre=" << centre);
        NormCase<double> exact(3, cols, centre);
        NormCase<float> got(3, cols, centre);
        exact.layer_norm(Isa::scalar, serial_workers(), 1e-5);
        got.layer_norm(isa, serial_workers(), 1e-5F);
        REQUIRE(nmse(got.y, exact.y) <= 1e-13);
        REQUIRE(nmse(got.rstd, exact.rstd) <= 1e-13);
        for (std::size_t r = 1; r <= 3; ++r) {
          // rounded to float, and off by a few roundings of a deviation
          REQUIRE(std::fabs(static_cast<double>(got.mean[r]) - exact.mean[r]) <=
                  0x1p-24 * (std::fabs(exact.mean[r]) + 8 / exact.rstd[r]));
        }
      }
    }
  }
}

TEST_CASE("layer_norm does not depend on what a row begins with", "[norm]") {
  // a first vector far from the mean, as from an outlier feature, must not cost the others their
  // digits
  for (const Isa isa : supported_isas()) {
    for (const float start : {30.0F, 1e3F, 1e6F}) {
      INFO(isa_name(isa) << " start=" << start);
      NormCase<float> got(1, 5000);
      std::fill_n(got.x.begin() + 1, 16, start);
      NormCase<double> exact(1, 5000);
      exact.x = converted<double>(got.x);
      exact.layer_norm(Isa::scalar, serial_workers(), 1e-5);
      got.layer_norm(isa, serial_workers(), 1e-5F);
      REQUIRE(nmse(got.y, exact.y) <= 1e-13);
      REQUIRE(nmse(got.rstd, exact.rstd) <= 1e-13);
    }
  }
}

TEST_CASE("rms_norm has NMSE <= 1e-13 for any width", "[norm]") {
  for (const Isa isa : supported_isas()) {
    for (const std::size_t cols : widths) {
      for (const double spread : {1e-3, 1.0, 1e6}) {
        INFO(isa_name(isa) << " cols=" << cols << " spread=" << spread);
        NormCase<double> exact(3, cols, 0, spread);
        NormCase<float> got(3, cols, 0, spread);
        exact.rms_norm(Isa::scalar, serial_workers(), 1e-6);
        got.rms_norm(isa, serial_workers(), 1e-6F);
        REQUIRE(nmse(got.y, exact.y) <= 1e-13);
        REQUIRE(nmse(got.rstd, exact.rstd) <= 1e-13);
      }
    }
  }
}

TEST_CASE("norms of a row worked out by hand", "[norm]") {
  // 1 2 3 4 5: mean 3, variance 2, mean square 11
  const std::vector<double> x{1, 2, 3, 4, 5};
  std::vector<double> y(5);
  double mean = 0, rstd = 0;
  layer_norm<double>(Isa::scalar, serial_workers(), 1, 5, 0, x.data(), nullptr, nullptr, y.data(),
                     &mean, &rstd);
  REQUIRE(mean == Approx(3));
  REQUIRE(rstd == Approx(1 / std::sqrt(2.0)));
  REQUIRE(y[0] == Approx(-std::sqrt(2.0)));
  REQUIRE(y[3] == Approx(1 / std::sqrt(2.0)));
  rms_norm<double>(Isa::scalar, serial_workers(), 1, 5, 0, x.data(), nullptr, y.data(), &rstd);
  REQUIRE(rstd == Approx(1 / std::sqrt(11.0)));
  REQUIRE(y[4] == Approx(5 / std::sqrt(11.0)));
}

TEST_CASE("an absent gamma is 1, an absent beta 0, and the statistics may be left out", "[norm]") {
  for (const Isa isa : supported_isas()) {
    NormCase<float> all(4, 37);
    std::fill(all.gamma.begin(), all.gamma.end(), 1.0F);
    std::fill(all.beta.begin(), all.beta.end(), 0.0F);
    all.layer_norm(isa, serial_workers(), 1e-5F);
    NormCase<float> bare(4, 37);
    layer_norm<float>(isa, serial_workers(), 4, 37, 1e-5F, bare.x.data() + 1, nullptr, nullptr,
                      bare.y.data() + 1, nullptr, nullptr);
    REQUIRE(same_bits(bare.y, all.y));
    all.rms_norm(isa, serial_workers(), 1e-5F);
    rms_norm<float>(isa, serial_workers(), 4, 37, 1e-5F, bare.x.data() + 1, nullptr,
                    bare.y.data() + 1, nullptr);
    REQUIRE(same_bits(bare.y, all.y));
  }
}

TEST_CASE("norms in place give the bits of norms out of place", "[norm]") {
  for (const Isa isa : supported_isas()) {
    for (const std::size_t cols : {5U, 16U, 100U}) {
      NormCase<float> apart(3, cols), same(3, cols);
      apart.layer_norm(isa, serial_workers(), 1e-5F);
      layer_norm<float>(isa, serial_workers(), 3, same.width(), 1e-5F, same.x.data() + 1,
                        same.gamma.data() + 1, same.beta.data() + 1, same.x.data() + 1, nullptr,
                        nullptr);
      REQUIRE(same_bits(std::span<const float>(same.x).subspan(1),
                        std::span<const float>(apart.y).subspan(1)));
      NormCase<float> again(3, cols);
      apart.rms_norm(isa, serial_workers(), 1e-5F);
      rms_norm<float>(isa, serial_workers(), 3, again.width(), 1e-5F, again.x.data() + 1,
                      again.gamma.data() + 1, again.x.data() + 1, nullptr);
      REQUIRE(same_bits(std::span<const float>(again.x).subspan(1),
                        std::span<const float>(apart.y).subspan(1)));
    }
  }
}

TEST_CASE("a constant row normalises to beta, a zero row to beta and 0", "[norm]") {
  for (const Isa isa : supported_isas()) {
    for (const float value : {0.0F, 0.1F, -12345.678F}) {
      NormCase<float> c(1, 100);
      std::fill(c.x.begin(), c.x.end(), value);
      c.layer_norm(isa, serial_workers(), 1e-5F);
      INFO(isa_name(isa) << " value=" << value);
      // what rounding leaves of the deviations, two roundings deep, through rstd = 316
      REQUIRE(largest_difference(std::vector<float>(c.y.begin() + 1, c.y.end()),
                                 std::vector<float>(c.beta.begin() + 1, c.beta.end())) <=
              2 * 316 * std::fabs(static_cast<double>(value)) * 0x1p-44 + 1e-7);
    }
    NormCase<float> zero(1, 100);
    std::fill(zero.x.begin(), zero.x.end(), 0.0F);
    zero.rms_norm(isa, serial_workers(), 1e-6F);
    REQUIRE(zero.y == std::vector<float>(101, 0.0F));
    REQUIRE(zero.rstd[1] == Approx(1e3).epsilon(1e-6));
  }
}

TEST_CASE("a row whose squares overflow is scaled by 0, and NaN stays in its row", "[norm]") {
  constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
  for (const Isa isa : supported_isas()) {
    NormCase<float> c(3, 40);
    for (std::size_t i = 0; i < 40; ++i) c.x[1 + i] = i % 2 == 0 ? 1e25F : -1e25F;
    c.x[1 + 40 + 17] = not_a_number;
    c.rms_norm(isa, serial_workers(), 1e-6F);
    for (std::size_t i = 0; i < 40; ++i) {
      REQUIRE(c.y[1 + i] == 0);
      REQUIRE(std::isnan(c.y[1 + 40 + i]));
      REQUIRE(std::isfinite(c.y[1 + 80 + i]));
    }
    c.x[1 + 80] = std::numeric_limits<float>::infinity();
    c.rms_norm(isa, serial_workers(), 1e-6F);
    REQUIRE(std::isnan(c.y[1 + 80]));
    for (std::size_t i = 1; i < 40; ++i) REQUIRE(c.y[1 + 80 + i] == 0);
    c.x[1 + 80] = 0;
    c.layer_norm(isa, serial_workers(), 1e-6F);
    for (std::size_t i = 0; i < 40; ++i) {
      REQUIRE(c.y[1 + i] == c.beta[1 + i]);
      REQUIRE(std::isnan(c.y[1 + 40 + i]));
      REQUIRE(std::isfinite(c.y[1 + 80 + i]));
    }
  }
}

TEST_CASE("norms of no rows and of no columns", "[norm]") {
  for (const Isa isa : supported_isas()) {
    NormCase<float> none(0, 5);
    none.layer_norm(isa, serial_workers(), 1e-5F);
    none.rms_norm(isa, serial_workers(), 1e-5F);
    std::fill(none.dgamma.begin(), none.dgamma.end(), 7.0F);
    none.layer_norm_backward(isa, serial_workers());
    REQUIRE(std::vector<float>(none.dgamma.begin() + 1, none.dgamma.end()) ==
            std::vector<float>(5, 0.0F));
    NormCase<float> empty(2, 0);
    empty.layer_norm(isa, serial_workers(), 1e-5F);
    empty.layer_norm_backward(isa, serial_workers());
    empty.rms_norm_backward(isa, serial_workers());
    REQUIRE(std::isnan(empty.mean[1]));
  }
}

TEST_CASE("a row's norm has the same bits alone and among eight", "[norm][rows]") {
  for (const Isa isa : supported_isas()) {
    for (const std::size_t cols : {3U, 16U, 100U, 576U, 3000U}) {
      for (const bool rms : {false, true}) {
        NormCase<float> c(8, cols);
        rms ? c.rms_norm(isa, serial_workers(), 1e-5F) : c.layer_norm(isa, serial_workers(), 1e-5F);
        std::vector<float> y(cols);
        for (std::size_t r = 0; r < 8; ++r) {
          const float* row = c.x.data() + 1 + r * cols;
          if (rms) {
            rms_norm<float>(isa, serial_workers(), 1, c.width(), 1e-5F, row, c.gamma.data() + 1,
                            y.data(), nullptr);
          } else {
            layer_norm<float>(isa, serial_workers(), 1, c.width(), 1e-5F, row, c.gamma.data() + 1,
                              c.beta.data() + 1, y.data(), nullptr, nullptr);
          }
          INFO(isa_name(isa) << " cols=" << cols << " row=" << r << " rms=" << rms);
          REQUIRE(same_bits(std::span<const float>(y),
                            std::span<const float>(c.y).subspan(1 + r * cols, cols)));
        }
      }
    }
  }
}
