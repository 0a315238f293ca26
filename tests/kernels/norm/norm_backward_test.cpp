#include "kernels/norm/norm.hpp"
#include "kernels/norm/norm_support.hpp"

#include <catch2/catch.hpp>

using namespace attn::kernels;
using namespace attn::test;

namespace {

enum class Kind { layer, rms };

template <class T>
void forward(NormCase<T>& c, Kind kind, Isa isa, Workers& workers = serial_workers()) {
  kind == Kind::layer ? c.layer_norm(isa, workers, static_cast<T>(1e-5))
                      : c.rms_norm(isa, workers, static_cast<T>(1e-5));
}

template <class T>
void backward(NormCase<T>& c, Kind kind, Isa isa, Workers& workers = serial_workers()) {
  kind == Kind::layer ? c.layer_norm_backward(isa, workers) : c.rms_norm_backward(isa, workers);
}

// Σ dy · y, whose gradient the backward pass gives
double loss(NormCase<double>& c, Kind kind) {
  forward(c, kind, Isa::scalar);
  double sum = 0;
  for (std::size_t i = 1; i < c.y.size(); ++i) sum += c.y[i] * c.dy[i];
  return sum;
}

void check_gradient(NormCase<double>& c, Kind kind, std::vector<double> NormCase<double>::*operand,
                    const std::vector<double>& gradient) {
  constexpr double step = 1e-6;
  for (std::size_t i = 1; i < gradient.size(); ++i) {
    double& value = (c.*operand)[i];
    const double kept = value;
    value = kept + step;
    const double above = loss(c, kind);
    value = kept - step;
    const double below = loss(c, kind);
    value = kept;
    const double expected = (above - below) / (2 * step);
    REQUIRE(std::fabs(gradient[i] - expected) <= 1e-5 + 1e-3 * std::fabs(expected));
  }
}

}  // namespace

TEST_CASE("gradients of the norms agree with central differences", "[norm][gradient]") {
  for (const std::size_t cols : {1U, 2U, 5U, 40U}) {
    for (const Kind kind : {Kind::layer, Kind::rms}) {
      INFO("cols=" << cols << " rms=" << (kind == Kind::rms));
      NormCase<double> c(3, cols, 0.3);
      forward(c, kind, Isa::scalar);
      backward(c, kind, Isa::scalar);
      check_gradient(c, kind, &NormCase<double>::x, c.dx);
      check_gradient(c, kind, &NormCase<double>::gamma, c.dgamma);
      if (kind == Kind::layer) check_gradient(c, kind, &NormCase<double>::beta, c.dbeta);
    }
  }
}

TEST_CASE("the norms' gradients at every level follow float64", "[norm][gradient]") {
  for (const Isa isa : supported_isas()) {
    for (const std::size_t cols : {2U, 4U, 15U, 16U, 17U, 100U, 769U, 3000U}) {
      for (const double centre : {0.0, 1e3}) {
        for (const Kind kind : {Kind::layer, Kind::rms}) {
          INFO(isa_name(isa) << " cols=" << cols << " centre=" << centre
                             << " rms=" << (kind == Kind::rms));
          NormCase<double> exact(150, cols, centre);
          NormCase<float> got(150, cols, centre);
          forward(exact, kind, Isa::scalar);
          forward(got, kind, isa);
          backward(exact, kind, Isa::scalar);
          backward(got, kind, isa);
          // some ten roundings of 2^-25 (root mean square) each: NMSE of a few 1e-14. Two columns
          // are the hard case of the layer norm: what is left of dx after its two projections is
          // eps · rstd² of it, some 1e-5.
          if (kind == Kind::rms || cols > 2) REQUIRE(nmse(got.dx, exact.dx) <= 1e-12);
          // sums of 150 terms in chains of up to 128: another five roundings
          REQUIRE(nmse(got.dgamma, exact.dgamma) <= 1e-12);
          REQUIRE(nmse(got.dbeta, exact.dbeta) <= 1e-12);
        }
      }
    }
  }
}

TEST_CASE("each gradient of the norms may be left out, and dx may be dy", "[norm][gradient]") {
  for (const Isa isa : supported_isas()) {
    for (const std::size_t cols : {5U, 16U, 100U}) {
      NormCase<float> all(40, cols);
      all.layer_norm(isa, serial_workers(), 1e-5F);
      all.layer_norm_backward(isa, serial_workers());

      NormCase<float> part = all;
      for (auto* gradient : {&part.dx, &part.dgamma, &part.dbeta}) {
        std::fill(gradient->begin(), gradient->end(), 0.0F);
      }
      const auto run = [&](float* dx, float* dgamma, float* dbeta) {
        const bool sums = dgamma != nullptr || dbeta != nullptr;
        layer_norm_backward<float>(isa, serial_workers(), part.height(), part.width(),
                                   part.x.data() + 1, part.gamma.data() + 1, part.mean.data() + 1,
                                   part.rstd.data() + 1, part.dy.data() + 1, dx, dgamma, dbeta,
                                   sums ? part.scratch.data() : nullptr);
      };
      run(nullptr, part.dgamma.data() + 1, nullptr);
      run(nullptr, nullptr, part.dbeta.data() + 1);
      run(part.dy.data() + 1, nullptr, nullptr);
      REQUIRE(same_bits(part.dgamma, all.dgamma));
      REQUIRE(same_bits(part.dbeta, all.dbeta));
      REQUIRE(same_bits(std::span<const float>(part.dy).subspan(1),
                        std::span<const float>(all.dx).subspan(1)));

      all.rms_norm(isa, serial_workers(), 1e-5F);
      all.rms_norm_backward(isa, serial_workers());
      part.rstd = all.rstd;
      part.dy = all.dy;
      rms_norm_backward<float>(isa, serial_workers(), part.height(), part.width(),
                               part.x.data() + 1, part.gamma.data() + 1, part.rstd.data() + 1,
                               part.dy.data() + 1, part.dy.data() + 1, nullptr, nullptr);
      REQUIRE(same_bits(std::span<const float>(part.dy).subspan(1),
                        std::span<const float>(all.dx).subspan(1)));
    }
  }
}

TEST_CASE("a row's dx has the same bits alone and among eight", "[norm][gradient][rows]") {
  for (const Isa isa : supported_isas()) {
    for (const std::size_t cols : {3U, 16U, 100U, 3000U}) {
      NormCase<float> c(8, cols);
      c.layer_norm(isa, serial_workers(), 1e-5F);
      c.layer_norm_backward(isa, serial_workers());
      std::vector<float> dx(cols);
      for (std::size_t r = 0; r < 8; ++r) {
        layer_norm_backward<float>(isa, serial_workers(), 1, c.width(), c.x.data() + 1 + r * cols,
                                   c.gamma.data() + 1, c.mean.data() + 1 + r, c.rstd.data() + 1 + r,
                                   c.dy.data() + 1 + r * cols, dx.data(), nullptr, nullptr,
                                   nullptr);
        REQUIRE(same_bits(std::span<const float>(dx),
                          std::span<const float>(c.dx).subspan(1 + r * cols, cols)));
      }
    }
  }
}

TEST_CASE("norms and their gradients give the same bits on any number of threads",
          "[norm][threads]") {
  for (const Isa isa : supported_isas()) {
    for (const Kind kind : {Kind::layer, Kind::rms}) {
      NormCase<float> alone(300, 257);
      forward(alone, kind, isa);
      backward(alone, kind, isa);
      for (const int threads : {2, 3, 8}) {
        const auto workers = make_workers(threads);
        NormCase<float> shared(300, 257);
        forward(shared, kind, isa, *workers);
        backward(shared, kind, isa, *workers);
        REQUIRE(same_bits(shared.y, alone.y));
        REQUIRE(same_bits(shared.rstd, alone.rstd));
        REQUIRE(same_bits(shared.dx, alone.dx));
        REQUIRE(same_bits(shared.dgamma, alone.dgamma));
        REQUIRE(same_bits(shared.dbeta, alone.dbeta));
      }
    }
  }
}
