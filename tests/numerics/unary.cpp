#include "kernels/elementwise/every_float.hpp"
#include "numerics/figures.hpp"

#include <fmt/format.h>

#include <numbers>

namespace attn::numerics {
namespace {

using kernels::Unary;
using test::Stretch;
using test::UnaryBound;
using test::Worst;

std::string described(float x) {
  return fmt::format("{:.9g} (0x{:08x})", x, std::bit_cast<std::uint32_t>(x));
}

// The functions in 64 bits of mantissa, by their definitions.
long double sigmoid(long double x) {
  if (x >= 0) return 1 / (1 + std::exp(-x));
  const long double e = std::exp(x);
  return e / (1 + e);
}
long double value(Unary function, long double x) {
  switch (function) {
    case Unary::exp: return std::exp(x);
    case Unary::tanh: return std::tanh(x);
    case Unary::sigmoid: return sigmoid(x);
    case Unary::relu: return x < 0 ? 0 : x;
    case Unary::gelu: return x * std::erfc(-x / std::numbers::sqrt2_v<long double>) / 2;
    case Unary::gelu_tanh: {
      const long double root = std::sqrt(2 * std::numbers::inv_pi_v<long double>);
      return x * sigmoid(2 * root * (x + 0.044715L * x * x * x));
    }
    case Unary::silu: return x * sigmoid(x);
  }
  return 0;
}

// What the truth itself is off by, in units of a float: one hundred thousandth of one would not
// show in any figure.
void truth_figure(const UnaryBound& bound, const Report& report) {
  Largest worst;
  constexpr std::uint32_t stride = 999983;
  for (const Stretch& s : test::stretches(bound.first, bound.last, stride)) {
    for (std::uint64_t bits = s.first; bits <= s.last; bits += s.step) {
      const auto x = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
      const auto x64 = static_cast<double>(x);
      const long double more = value(bound.function, static_cast<long double>(x));
      const auto nearest = static_cast<float>(more);
      // 0 times infinity, and what no float holds
      if (!std::isfinite(nearest) || !std::isfinite(more)) continue;
      double y = 0;
      kernels::unary(Isa::scalar, kernels::serial_workers(), bound.function, 1, &x64, &y);
      const int exponent = nearest == 0 ? -126 : std::max(-126, std::ilogb(nearest));
      const auto error = std::ldexp(std::fabs(static_cast<long double>(y) - more), 23 - exponent);
      worst.meet(static_cast<double>(error), [&] { return described(x); });
    }
  }
  report({bound.name, "float64", "ULP of f32", 1e-5, worst.value, worst.where});
}

void report_all(const char* what, const char* unit, double bound, const std::vector<Worst>& worst,
                const Report& report) {
  const auto levels = kernels::supported_isas();
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const Worst& w = worst[i];
    report({what, std::string(isa_name(levels[i])), unit, bound, w.error,
            w.error > 0 ? described(w.at) : ""});
  }
}

// A unary function's derivative, for worst_errors().
struct UnarySlopes {
  Unary function;

  template <class T>
  void backward(Isa isa, index_t n, const T* x, T* y) const {
    std::fill_n(y, n, T{1});  // dy, which dx takes the place of
    kernels::unary_backward(isa, kernels::serial_workers(), function, n, x, y, y);
  }
  void exact(index_t n, const double* x, double* y) const { backward(Isa::scalar, n, x, y); }
  void run(Isa isa, index_t n, const float* x, float* y) const { backward(isa, n, x, y); }
  static double error(float got, double exact) {
    const auto nearest = static_cast<float>(exact);
    if (got == nearest || (std::isnan(got) && std::isnan(nearest))) return 0;
    const double e = std::fabs(static_cast<double>(got) - exact) / std::max(1.0, std::fabs(exact));
    return std::isnan(e) ? std::numeric_limits<double>::infinity() : e;
  }
};

}  // namespace

void unary_figures(const std::string& name, const Effort& effort, const Report& report) {
  for (const UnaryBound& bound : test::unary_bounds) {
    const std::string of_bound = bound.name;
    if (of_bound.substr(0, of_bound.find(',')) != name) continue;
    truth_figure(bound, report);
    const auto where = test::stretches(bound.first, bound.last, effort.stride);
    const auto worst = test::worst_errors(effort.workers, where, test::UnaryValues{bound.function});
    report_all(bound.name, "ULP", bound.ulps, worst, report);
  }
}

void slope_figures(const Effort& effort, const Report& report) {
  constexpr struct {
    const char* name;
    Unary function;
  } all[] = {{"exp'", Unary::exp},   {"tanh'", Unary::tanh}, {"sigmoid'", Unary::sigmoid},
             {"relu'", Unary::relu}, {"gelu'", Unary::gelu}, {"gelu_tanh'", Unary::gelu_tanh},
             {"silu'", Unary::silu}};
  const auto where = test::stretches(0, 0x7fffffff, effort.stride);
  for (const auto& [name, function] : all) {
    const auto worst = test::worst_errors(effort.workers, where, UnarySlopes{function});
    report_all(name, "of max(1, |f'|)", 1e-6, worst, report);
  }
}

}  // namespace attn::numerics
