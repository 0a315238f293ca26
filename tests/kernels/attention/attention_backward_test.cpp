#include "kernels/attention/problem.hpp"

#include <catch2/catch.hpp>

using namespace attn::kernels;
using namespace attn::test;

namespace {

// The loss whose gradients the backward pass computes: ⟨dout, out⟩ + ⟨dweights, weights⟩.
double loss(const Problem<double>& p, bool use_dout, bool use_dweights) {
  const Problem<double> result = defined(p);
  double sum = 0;
  for (std::size_t i = 1; use_dout && i < p.dout.size(); ++i) sum += p.dout[i] * result.out[i];
  for (std::size_t i = 0; use_dweights && i < p.dweights.size(); ++i) {
    sum += p.dweights[i] * result.weights[i];
  }
  return sum;
}

// NOLINTNEXTLINE(performance-unnecessary-value-param): p changes, through the member pointer
void check_by_differences(Problem<double> p, std::vector<double> Problem<double>::*input,
                          const std::vector<double>& gradient, bool use_dout, bool use_dweights) {
  constexpr double step = 1e-6;
  for (std::size_t i = 1; i < gradient.size(); ++i) {
    const double x = (p.*input)[i];
    (p.*input)[i] = x + step;
    const double above = loss(p, use_dout, use_dweights);
    (p.*input)[i] = x - step;
    const double below = loss(p, use_dout, use_dweights);
    (p.*input)[i] = x;
    INFO(i);
    REQUIRE(gradient[i] == Approx((above - below) / (2 * step)).epsilon(1e-3).margin(1e-5));
  }
}

}  // namespace

TEST_CASE("attention's gradients are the central differences", "[attention][backward]") {
  for (const bool causal : {false, true}) {
    for (const int use : {1, 2, 3}) {
      Problem<double> p{2, 2, 1, 3, 4, 3, 2};
      p.causal = causal;
      p.masked = true;
      p.fill(21);
      p.run(Isa::scalar, serial_workers());
      const bool use_dout = (use & 1) != 0, use_dweights = (use & 2) != 0;
      p.run_backward(Isa::scalar, serial_workers(), use_dout, use_dweights);
      check_by_differences(p, &Problem<double>::q, p.dq, use_dout, use_dweights);
      check_by_differences(p, &Problem<double>::k, p.dk, use_dout, use_dweights);
      check_by_differences(p, &Problem<double>::v, p.dv, use_dout, use_dweights);
    }
  }
}

TEST_CASE("every level's gradients follow float64", "[attention][backward]") {
  const struct {
    index_t batch, heads, kv_heads, q_len, kv_len, head_dim, value_dim;
  } shapes[] = {{1, 1, 1, 1, 1, 1, 1},     {1, 1, 1, 13, 13, 4, 4},    {1, 1, 1, 1, 13, 4, 4},
                {2, 4, 2, 7, 70, 33, 20},  {1, 2, 1, 67, 130, 64, 65}, {1, 1, 1, 150, 129, 16, 200},
                {1, 2, 2, 40, 17, 130, 1}, {1, 3, 1, 128, 192, 64, 64}};
  for (const auto& s : shapes) {
    for (const int options : {0, 1, 2, 3, 4, 5, 8, 15}) {
      Problem<float> problem{s.batch,  s.heads,    s.kv_heads, s.q_len,
                             s.kv_len, s.head_dim, s.value_dim};
      problem.causal = (options & 1) != 0;
      problem.masked = (options & 2) != 0;
      const bool use_dweights = (options & 12) != 0, use_dout = (options & 12) != 8;
      problem.scale = 1 / std::sqrt(static_cast<double>(s.head_dim));
      problem.fill(static_cast<std::uint32_t>(31 + options));
      Problem<double> exact = problem.as<double>();
      exact.run(Isa::scalar, serial_workers());
      exact.run_backward(Isa::scalar, serial_workers(), use_dout, use_dweights);
      for (const Isa isa : supported_isas()) {
        Problem<float> p = problem;
        p.run(isa, serial_workers());
        p.run_backward(isa, serial_workers(), use_dout, use_dweights);
        INFO(isa_name(isa) << " " << s.q_len << "x" << s.kv_len << "x" << s.head_dim << "/"
                           << s.value_dim << " options " << options);
        // dS is a difference of nearly equal numbers where one weight is near 1: absolute, not
        // relative, error is what float arithmetic bounds
        REQUIRE(nmse(p.dq, exact.dq) <= 1e-10);
        REQUIRE(nmse(p.dk, exact.dk) <= 1e-10);
        REQUIRE(nmse(p.dv, exact.dv) <= 1e-10);
      }
    }
  }
}
