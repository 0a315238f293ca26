#include "kernels/elementwise/elementwise_levels.hpp"

#include <cmath>

// The truth is computed in double, whatever T is, and rounded once.

namespace attn::kernels::scalar {
namespace {

constexpr double sqrt_half = 0.70710678118654752440;
constexpr double sqrt_2_over_pi = 0.79788456080286535588;
constexpr double inverse_sqrt_2pi = 0.39894228040143267794;
constexpr double cubic = 0.044715;  // of gelu_tanh

// a · p where p decays faster than a grows: 0 times infinity is 0 here, with the sign of a.
double decayed(double a, double p) { return p == 0 ? std::copysign(0.0, a) : a * p; }

double sigmoid(double x) {
  if (x >= 0) return 1 / (1 + std::exp(-x));
  const double e = std::exp(x);
  return e / (1 + e);
}

// of the normal distribution
double cumulative(double x) { return 0.5 * std::erfc(-x * sqrt_half); }

// gelu_tanh(x) = x σ(argument(x)), since (1 + tanh u) / 2 = σ(2u): no cancellation for negative x
double argument(double x) { return 2 * sqrt_2_over_pi * (x + cubic * x * x * x); }

double value(Unary function, double x) {
  switch (function) {
    case Unary::exp: return std::exp(x);
    case Unary::tanh: return std::tanh(x);
    case Unary::sigmoid: return sigmoid(x);
    case Unary::relu: return x < 0 ? 0 : x;
    case Unary::gelu: return decayed(x, cumulative(x));
    case Unary::gelu_tanh: return decayed(x, sigmoid(argument(x)));
    case Unary::silu: return decayed(x, sigmoid(x));
  }
  return 0;
}

double derivative(Unary function, double x) {
  switch (function) {
    case Unary::exp: return std::exp(x);
    case Unary::tanh: return 4 * sigmoid(2 * x) * sigmoid(-2 * x);
    case Unary::sigmoid: return sigmoid(x) * sigmoid(-x);
    case Unary::relu: return x <= 0 ? 0 : x > 0 ? 1 : x;
    case Unary::gelu: return cumulative(x) + decayed(x, inverse_sqrt_2pi * std::exp(-0.5 * x * x));
    case Unary::gelu_tanh: {
      const double u = argument(x);
      const double slope = 2 * sqrt_2_over_pi * (1 + 3 * cubic * x * x);
      return sigmoid(u) + decayed(x * slope, sigmoid(u) * sigmoid(-u));
    }
    case Unary::silu: return sigmoid(x) + decayed(x, sigmoid(x) * sigmoid(-x));
  }
  return 0;
}

}  // namespace

template <class T>
void unary(Unary function, index_t n, const T* x, T* y) {
  for (index_t i = 0; i < n; ++i) y[i] = static_cast<T>(value(function, x[i]));
}

template <class T>
void unary_backward(Unary function, index_t n, const T* x, const T* dy, T* dx) {
  for (index_t i = 0; i < n; ++i) dx[i] = static_cast<T>(dy[i] * derivative(function, x[i]));
}

template <class T>
void binary(Binary op, index_t rows, index_t cols, const T* a, const T* b, T* y) {
  for (index_t r = 0; r < rows; ++r, a += cols, y += cols) {
    for (index_t c = 0; c < cols; ++c) {
      switch (op) {
        case Binary::add: y[c] = a[c] + b[c]; break;
        case Binary::sub: y[c] = a[c] - b[c]; break;
        case Binary::mul: y[c] = a[c] * b[c]; break;
      }
    }
  }
}

template <class T>
void gated_silu(index_t n, const T* gate, const T* up, T* y) {
  for (index_t i = 0; i < n; ++i) {
    y[i] = static_cast<T>(value(Unary::silu, gate[i]) * static_cast<double>(up[i]));
  }
}

template <class T>
void gated_silu_backward(index_t n, const T* gate, const T* up, const T* dy, T* dgate, T* dup) {
  for (index_t i = 0; i < n; ++i) {
    const double g = static_cast<double>(gate[i]), d = static_cast<double>(dy[i]);
    const double through = d * static_cast<double>(up[i]);
    dgate[i] = static_cast<T>(through * derivative(Unary::silu, g));
    dup[i] = static_cast<T>(d * value(Unary::silu, g));
  }
}

template <class T>
void affine(index_t n, T scale, T shift, const T* x, T* y) {
  for (index_t i = 0; i < n; ++i) y[i] = std::fma(scale, x[i], shift);
}

template <class T>
void accumulate(index_t n, T scale, const T* x, T* y) {
  for (index_t i = 0; i < n; ++i) y[i] = std::fma(scale, x[i], y[i]);
}

template void unary(Unary, index_t, const float*, float*);
template void unary(Unary, index_t, const double*, double*);
template void unary_backward(Unary, index_t, const float*, const float*, float*);
template void unary_backward(Unary, index_t, const double*, const double*, double*);
template void binary(Binary, index_t, index_t, const float*, const float*, float*);
template void binary(Binary, index_t, index_t, const double*, const double*, double*);
template void gated_silu(index_t, const float*, const float*, float*);
template void gated_silu(index_t, const double*, const double*, double*);
template void gated_silu_backward(index_t, const float*, const float*, const float*, float*,
                                  float*);
template void gated_silu_backward(index_t, const double*, const double*, const double*, double*,
                                  double*);
template void affine(index_t, float, float, const float*, float*);
template void affine(index_t, double, double, const double*, double*);
template void accumulate(index_t, float, const float*, float*);
template void accumulate(index_t, double, const double*, double*);

}  // namespace attn::kernels::scalar
