// Softmax, and the norms: kernels over rows.

#include "kernels/norm/norm.hpp"
#include "kernels/norm/norm_support.hpp"
#include "kernels/softmax/softmax.hpp"
#include "numerics/figures.hpp"
#include "support/numbers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace attn::numerics {
namespace {

constexpr index_t softmax_rows = 8;

struct Rows {
  index_t cols;
  double spread;
  float scale;
  bool masked;
};

template <class T>
std::vector<T> softmax_of(Isa isa, const Rows& rows, const std::vector<float>& x,
                          const std::vector<float>& mask) {
  const auto input = test::converted<T>(x), added = test::converted<T>(mask);
  std::vector<T> y(input.size());
  kernels::SoftmaxArgs<T> args;
  args.rows = softmax_rows;
  args.cols = args.stride_x = args.stride_y = rows.cols;
  args.x = input.data();
  args.y = y.data();
  args.scale = static_cast<T>(rows.scale);
  args.mask = rows.masked ? added.data() : nullptr;
  kernels::softmax(isa, kernels::serial_workers(), args);
  return y;
}

struct SoftmaxErrors {
  double ulps = 0, sum = 0;
};

// Of the worst row, in units in the last place of its largest weight; and how far its sum is off 1.
SoftmaxErrors softmax_errors(const Rows& rows, const std::vector<float>& got,
                             const std::vector<double>& exact) {
  SoftmaxErrors worst;
  const auto cols = static_cast<std::size_t>(rows.cols);
  for (std::size_t row = 0; row < exact.size(); row += cols) {
    double largest = 0, sum = 0, error = 0;
    for (std::size_t c = row; c < row + cols; ++c) {
      largest = std::max(largest, exact[c]);
      sum += static_cast<double>(got[c]);
      const double off = std::fabs(static_cast<double>(got[c]) - exact[c]);
      if (!std::isnan(error) && !(off <= error)) error = off;  // a NaN stays
    }
    if (largest == 0) continue;  // all of it is masked
    const double ulp = std::ldexp(1.0, std::ilogb(static_cast<float>(largest)) - 23);
    if (!(error / ulp <= worst.ulps)) worst.ulps = error / ulp;
    if (!(std::fabs(sum - 1) <= worst.sum)) worst.sum = std::fabs(sum - 1);
  }
  return worst;
}

void softmax_figures_of(bool masked, const Effort& effort, const Report& report) {
  const auto levels = kernels::supported_isas();
  std::vector<Largest> ulps(levels.size()), sums(levels.size());
  for (const index_t cols :
       {1, 2, 3, 5, 8, 15, 16, 17, 33, 64, 100, 511, 1000, 4096, 4100, 49152}) {
    for (const double spread : {0.01, 1.0, 20.0, 300.0}) {
      for (const float scale : {1.0F, 0.125F, -1.7F}) {
        for (std::uint32_t turn = 0; turn < effort.turns; ++turn) {
          const Rows rows{cols, spread, scale, masked};
          const auto n = static_cast<std::size_t>(cols);
          const auto x = test::random_values(softmax_rows * n, 3 + turn, -spread, spread);
          std::vector<float> mask(n);
          for (std::size_t c = 1; c < n; c += 3) mask[c] = -std::numeric_limits<float>::infinity();
          const auto exact = softmax_of<double>(Isa::scalar, rows, x, mask);
          for (std::size_t i = 0; i < levels.size(); ++i) {
            const auto got = softmax_of<float>(levels[i], rows, x, mask);
            const SoftmaxErrors e = softmax_errors(rows, got, exact);
            const auto where = [&] {
              return fmt::format("{} columns, scores to ±{:g}, scale {:g}", cols, spread, scale);
            };
            ulps[i].meet(e.ulps, where);
            sums[i].meet(e.sum, where);
          }
        }
      }
    }
  }
  const std::string what = masked ? "softmax, masked by −inf" : "softmax";
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const std::string level(isa_name(levels[i]));
    report({what, level, "ULP of the largest", 3, ulps[i].value, ulps[i].where});
    report({what + ": a row's sum", level, "off 1", 4e-7, sums[i].value, sums[i].where});
  }
}

using Norm = test::NormCase<float>;
using ExactNorm = test::NormCase<double>;

void layer(ExactNorm& exact, Norm& got, Isa isa) {
  exact.layer_norm(Isa::scalar, kernels::serial_workers(), static_cast<double>(1e-5F));
  got.layer_norm(isa, kernels::serial_workers(), 1e-5F);
}
void rms(ExactNorm& exact, Norm& got, Isa isa) {
  exact.rms_norm(Isa::scalar, kernels::serial_workers(), static_cast<double>(1e-6F));
  got.rms_norm(isa, kernels::serial_workers(), 1e-6F);
}

struct Around {
  double centre, spread;
};
struct NormKind {
  const char* name;
  void (*run)(ExactNorm&, Norm&, Isa);
  std::vector<Around> numbers;
};

}  // namespace

void softmax_figures(const Effort& effort, const Report& report) {
  softmax_figures_of(false, effort, report);
  softmax_figures_of(true, effort, report);
}

void norm_figures(const Effort& effort, const Report& report) {
  const NormKind kinds[] = {{"layer_norm", layer, {{0, 1}, {3, 1}, {-1e4, 1}}},
                            {"rms_norm", rms, {{0, 1e-3}, {0, 1}, {0, 1e6}}}};
  for (const NormKind& kind : kinds) {
    for (const Isa isa : kernels::supported_isas()) {
      Largest y, rstd;
      for (const std::size_t cols :
           {1U, 2U, 3U, 4U, 7U, 8U, 15U, 16U, 17U, 33U, 64U, 100U, 576U, 769U, 3000U, 9001U}) {
        for (const Around& around : kind.numbers) {
          const std::size_t rows = 3 * std::size_t{effort.turns};
          ExactNorm exact(rows, cols, around.centre, around.spread);
          Norm got(rows, cols, around.centre, around.spread);
          kind.run(exact, got, isa);
          const auto where = [&] {
            return fmt::format("{} columns, {:g} ± {:g}", cols, around.centre, around.spread);
          };
          y.meet(test::nmse(got.y, exact.y), where);
          rstd.meet(test::nmse(got.rstd, exact.rstd), where);
        }
      }
      const std::string level(isa_name(isa));
      report({kind.name, level, "NMSE", 1e-13, y.value, y.where});
      report({std::string(kind.name) + ": rstd", level, "NMSE", 1e-13, rstd.value, rstd.where});
    }
  }
}

}  // namespace attn::numerics
