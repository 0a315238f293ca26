#pragma once

#include "kernels/norm/norm.hpp"
#include "support/numbers.hpp"

namespace attn::test {

/// One norm's operands, results and gradients, one element past an aligned address each.
template <class T>
struct NormCase {
  std::size_t rows, cols;
  std::vector<T> x, gamma, beta, dy, y, mean, rstd, dx, dgamma, dbeta, scratch;

  NormCase(std::size_t r, std::size_t c, double centre = 0, double spread = 1)
      : rows(r),
        cols(c),
        x(converted<T>(random_values<float>(1 + r * c, 1, centre - spread, centre + spread))),
        gamma(converted<T>(random_values<float>(1 + c, 2, -2, 2))),
        beta(converted<T>(random_values<float>(1 + c, 3))),
        dy(converted<T>(random_values<float>(1 + r * c, 4))),
        y(1 + r * c),
        mean(1 + r),
        rstd(1 + r),
        dx(1 + r * c),
        dgamma(1 + c),
        dbeta(1 + c),
        scratch(static_cast<std::size_t>(kernels::norm_backward_scratch(
            static_cast<kernels::index_t>(r), static_cast<kernels::index_t>(c)))) {}

  void layer_norm(kernels::Isa isa, kernels::Workers& workers, T eps) {
    kernels::layer_norm(isa, workers, height(), width(), eps, x.data() + 1, gamma.data() + 1,
                        beta.data() + 1, y.data() + 1, mean.data() + 1, rstd.data() + 1);
  }
  void layer_norm_backward(kernels::Isa isa, kernels::Workers& workers) {
    kernels::layer_norm_backward(isa, workers, height(), width(), x.data() + 1, gamma.data() + 1,
                                 mean.data() + 1, rstd.data() + 1, dy.data() + 1, dx.data() + 1,
                                 dgamma.data() + 1, dbeta.data() + 1, scratch.data());
  }
  void rms_norm(kernels::Isa isa, kernels::Workers& workers, T eps) {
    kernels::rms_norm(isa, workers, height(), width(), eps, x.data() + 1, gamma.data() + 1,
                      y.data() + 1, rstd.data() + 1);
  }
  void rms_norm_backward(kernels::Isa isa, kernels::Workers& workers) {
    kernels::rms_norm_backward(isa, workers, height(), width(), x.data() + 1, gamma.data() + 1,
                               rstd.data() + 1, dy.data() + 1, dx.data() + 1, dgamma.data() + 1,
                               scratch.data());
  }

  [[nodiscard]] kernels::index_t height() const { return static_cast<kernels::index_t>(rows); }
  [[nodiscard]] kernels::index_t width() const { return static_cast<kernels::index_t>(cols); }
};

}  // namespace attn::test
