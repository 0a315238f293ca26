#include "kernels/reduce/pairwise_sum.hpp"
#include "kernels/reduce/reduce_levels.hpp"

#include <limits>

namespace attn::kernels::scalar {

template <class T>
void sum_rows(index_t rows, index_t cols, const T* x, T* y) {
  for (index_t r = 0; r < rows; ++r) {
    y[r] = pairwise_sum<T>(0, cols, [row = x + r * cols](index_t c) { return row[c]; });
  }
}

template <class T>
void max_rows(index_t rows, index_t cols, const T* x, T* y) {
  for (index_t r = 0; r < rows; ++r) {
    T largest = -std::numeric_limits<T>::infinity();
    for (index_t c = 0; c < cols; ++c) {
      const T value = x[r * cols + c];
      if (value > largest || value != value) largest = value;  // a NaN stays: nothing exceeds it
    }
    y[r] = largest;
  }
}

template <class T>
void sum_columns(index_t rows, index_t cols, const T* x, index_t stride, T* y) {
  for (index_t c = 0; c < cols; ++c) {
    y[c] = pairwise_sum<T>(0, rows, [&](index_t r) { return x[r * stride + c]; });
  }
}

template <class T>
T dot(index_t n, const T* x, const T* w) {
  return pairwise_sum<T>(0, n, [&](index_t i) { return x[i] * w[i]; });
}

template void sum_rows(index_t, index_t, const float*, float*);
template void sum_rows(index_t, index_t, const double*, double*);
template void max_rows(index_t, index_t, const float*, float*);
template void max_rows(index_t, index_t, const double*, double*);
template void sum_columns(index_t, index_t, const float*, index_t, float*);
template void sum_columns(index_t, index_t, const double*, index_t, double*);
template float dot(index_t, const float*, const float*);
template double dot(index_t, const double*, const double*);

}  // namespace attn::kernels::scalar
