#include "kernels/matmul/matmul_levels.hpp"

#include <algorithm>

namespace attn::kernels::scalar {
namespace {

// Columns summed together: their sums stay in registers or L1, and the compiler may vectorize over
// them, which leaves the order of each sum as it is.
constexpr index_t width = 32;

template <class T>
void row_piece(const MatmulArgs<T>& p, const T* a, const T* b, T* c, const T* bias, index_t count) {
  T sum[width] = {};
  for (index_t k = 0; k < p.k; ++k) {
    const T x = a[k * p.a.col_stride];
    const T* row = b + k * p.b.row_stride;
    if (p.b.col_stride == 1) {
      for (index_t j = 0; j < count; ++j) sum[j] += x * row[j];
    } else {
      for (index_t j = 0; j < count; ++j) sum[j] += x * row[j * p.b.col_stride];
    }
  }
  for (index_t j = 0; j < count; ++j) {
    sum[j] = sum[j] * p.alpha + (bias != nullptr ? bias[j] : T{0});
  }
  if (p.activation) unary(Isa::scalar, serial_workers(), *p.activation, count, sum, sum);
  for (index_t j = 0; j < count; ++j) c[j] = p.accumulate ? c[j] + sum[j] : sum[j];
}

}  // namespace

template <class T>
void matmul(Workers& workers, const MatmulArgs<T>& p) {
  // rows a chunk: some 100 µs of work, or all of a batch entry
  const index_t work = std::max<index_t>(1, p.n * p.k);
  const index_t grain = std::clamp<index_t>(262144 / work, 1, std::max<index_t>(1, p.m));
  const index_t pieces = ceil_div(p.m, grain);
  parallel_for(workers, p.batch * pieces, [&](index_t chunk, int) {
    const index_t entry = chunk / pieces, from = chunk % pieces * grain;
    const T* a = p.a.data + entry * p.batch_stride_a;
    const T* b = p.b.data + entry * p.batch_stride_b;
    T* c = p.c + entry * p.batch_stride_c;
    for (index_t i = from; i < std::min(p.m, from + grain); ++i) {
      for (index_t j = 0; j < p.n; j += width) {
        row_piece(p, a + i * p.a.row_stride, b + j * p.b.col_stride, c + i * p.stride_c + j,
                  p.bias != nullptr ? p.bias + j : nullptr, std::min(width, p.n - j));
      }
    }
  });
}

template void matmul(Workers&, const MatmulArgs<float>&);
template void matmul(Workers&, const MatmulArgs<double>&);

}  // namespace attn::kernels::scalar
