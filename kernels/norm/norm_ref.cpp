#include "kernels/norm/norm_levels.hpp"
#include "kernels/reduce/pairwise_sum.hpp"

#include <cmath>

namespace attn::kernels::scalar {

template <class T>
void layer_norm(index_t rows, index_t cols, T eps, const T* x, const T* gamma, const T* beta, T* y,
                T* mean, T* rstd) {
  const T n = static_cast<T>(cols);
  for (index_t r = 0; r < rows; ++r, x += cols, y += cols) {
    const T rough = pairwise_sum<T>(0, cols, [&](index_t c) { return x[c]; }) / n;
    // What rounding took from the mean: the differences x − rough are nearly exact where the mean
    // is large against the deviations, and that is where it matters.
    const T rest = pairwise_sum<T>(0, cols, [&](index_t c) { return x[c] - rough; }) / n;
    const T squares =
        pairwise_sum<T>(0, cols, [&](index_t c) { return (x[c] - rough) * (x[c] - rough); });
    const T var = squares / n - rest * rest;
    const T scale = 1 / std::sqrt((var < 0 ? 0 : var) + eps);
    for (index_t c = 0; c < cols; ++c) {
      const T normal = ((x[c] - rough) - rest) * scale;
      y[c] = normal * (gamma != nullptr ? gamma[c] : 1) + (beta != nullptr ? beta[c] : 0);
    }
    if (mean != nullptr) mean[r] = rough + rest;
    if (rstd != nullptr) rstd[r] = scale;
  }
}

template <class T>
void layer_norm_backward(index_t rows, index_t cols, const T* x, const T* gamma, const T* mean,
                         const T* rstd, const T* dy, T* dx, T* dgamma, T* dbeta) {
  const T n = static_cast<T>(cols);
  if (dgamma != nullptr) {
    for (index_t c = 0; c < cols; ++c) dgamma[c] = dbeta[c] = 0;
  }
  for (index_t r = 0; r < rows; ++r, x += cols, dy += cols) {
    const T rest = pairwise_sum<T>(0, cols, [&](index_t c) { return x[c] - mean[r]; }) / n;
    const auto normal = [&](index_t c) { return ((x[c] - mean[r]) - rest) * rstd[r]; };
    const auto gradient = [&](index_t c) { return gamma != nullptr ? dy[c] * gamma[c] : dy[c]; };
    const T along_ones = pairwise_sum<T>(0, cols, gradient) / n;
    const T along_normal =
        pairwise_sum<T>(0, cols, [&](index_t c) { return gradient(c) * normal(c); }) / n;
    if (dgamma != nullptr) {
      for (index_t c = 0; c < cols; ++c) {
        dgamma[c] += dy[c] * normal(c);
        dbeta[c] += dy[c];
      }
    }
    if (dx != nullptr) {
      for (index_t c = 0; c < cols; ++c) {
        dx[c] = rstd[r] * ((gradient(c) - along_ones) - normal(c) * along_normal);
      }
      dx += cols;
    }
  }
}

template <class T>
void rms_norm(index_t rows, index_t cols, T eps, const T* x, const T* gamma, T* y, T* rstd) {
  for (index_t r = 0; r < rows; ++r, x += cols, y += cols) {
    const T squares = pairwise_sum<T>(0, cols, [&](index_t c) { return x[c] * x[c]; });
    const T scale = 1 / std::sqrt(squares / static_cast<T>(cols) + eps);
    for (index_t c = 0; c < cols; ++c) {
      y[c] = x[c] * scale * (gamma != nullptr ? gamma[c] : 1);
    }
    if (rstd != nullptr) rstd[r] = scale;
  }
}

template <class T>
void rms_norm_backward(index_t rows, index_t cols, const T* x, const T* gamma, const T* rstd,
                       const T* dy, T* dx, T* dgamma) {
  if (dgamma != nullptr) {
    for (index_t c = 0; c < cols; ++c) dgamma[c] = 0;
  }
  for (index_t r = 0; r < rows; ++r, x += cols, dy += cols) {
    const auto normal = [&](index_t c) { return x[c] * rstd[r]; };
    const auto gradient = [&](index_t c) { return gamma != nullptr ? dy[c] * gamma[c] : dy[c]; };
    const T along_normal =
        pairwise_sum<T>(0, cols, [&](index_t c) { return gradient(c) * normal(c); }) /
        static_cast<T>(cols);
    if (dgamma != nullptr) {
      for (index_t c = 0; c < cols; ++c) dgamma[c] += dy[c] * normal(c);
    }
    if (dx != nullptr) {
      for (index_t c = 0; c < cols; ++c) {
        dx[c] = rstd[r] * (gradient(c) - normal(c) * along_normal);
      }
      dx += cols;
    }
  }
}

template void layer_norm(index_t, index_t, float, const float*, const float*, const float*, float*,
                         float*, float*);
template void layer_norm(index_t, index_t, double, const double*, const double*, const double*,
                         double*, double*, double*);
template void layer_norm_backward(index_t, index_t, const float*, const float*, const float*,
                                  const float*, const float*, float*, float*, float*);
template void layer_norm_backward(index_t, index_t, const double*, const double*, const double*,
                                  const double*, const double*, double*, double*, double*);
template void rms_norm(index_t, index_t, float, const float*, const float*, float*, float*);
template void rms_norm(index_t, index_t, double, const double*, const double*, double*, double*);
template void rms_norm_backward(index_t, index_t, const float*, const float*, const float*,
                                const float*, float*, float*);
template void rms_norm_backward(index_t, index_t, const double*, const double*, const double*,
                                const double*, double*, double*);

}  // namespace attn::kernels::scalar
