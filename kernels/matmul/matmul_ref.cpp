#include "kernels/matmul/matmul_levels.hpp"

#include <algorithm>
#include <array>
#include <type_traits>

namespace attn::kernels::scalar {
namespace {

// Columns summed together: their sums stay in registers or L1, and the compiler may vectorize over
// them, which leaves the order of each sum as it is.
constexpr index_t width = 32;
// Stored weights that are decoded at a time: whole blocks of every format.
constexpr index_t piece = 256;
// Rows of A that meet them together where they are rows of B: their sums are 8 KiB of the stack.
constexpr index_t rows_together = 8;

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

// Stored weights are decoded a row at a time.
void stored_matmul(Workers& workers, const MatmulArgs<float>& p) {
  const index_t bytes = row_bytes(p.stored.type, p.k);
  parallel_for(workers, ceil_div(p.n, width), [&](index_t chunk, int) {
    std::array<float, piece> w{};
    for (index_t j = chunk * width; j < std::min(p.n, (chunk + 1) * width); ++j) {
      const auto* const row = static_cast<const char*>(p.stored.data) + j * bytes;
      for (index_t k = 0; k < p.k; k += piece) {
        const index_t count = std::min(piece, p.k - k);
        dequantize(Isa::scalar, p.stored.type, count, row + row_bytes(p.stored.type, k), w.data());
        for (index_t i = 0; i < p.m; ++i) {
          const float* const a = p.a.data + i * p.a.row_stride + k * p.a.col_stride;
          float& c = p.c[i * p.stride_c + j];
          float sum = k == 0 ? 0 : c;
          for (index_t l = 0; l < count; ++l) {
            sum += a[l * p.a.col_stride] * w[static_cast<std::size_t>(l)];
          }
          c = sum;
        }
      }
      for (index_t i = 0; i < p.m; ++i) {
        float& c = p.c[i * p.stride_c + j];
        c = (p.k == 0 ? 0 : c) * p.alpha + (p.bias != nullptr ? p.bias[j] : 0);
        if (p.activation) unary(Isa::scalar, serial_workers(), *p.activation, 1, &c, &c);
      }
    }
  });
}

// The same where they are the rows of B.
void stored_b_matmul(Workers& workers, const MatmulArgs<float>& p) {
  const index_t bytes = row_bytes(p.stored.type, p.n);
  const index_t blocks = ceil_div(p.m, rows_together);
  parallel_for(workers, ceil_div(p.n, piece) * blocks, [&](index_t chunk, int) {
    const index_t j = chunk / blocks * piece, count = std::min(piece, p.n - j);
    const index_t from = chunk % blocks * rows_together;
    const index_t rows = std::min(rows_together, p.m - from);
    const float* const a = p.a.data + from * p.a.row_stride;
    const auto* const column =
        static_cast<const char*>(p.stored.data) + row_bytes(p.stored.type, j);
    float w[piece], sums[rows_together][piece] = {};
    for (index_t k = 0; k < p.k; ++k) {
      dequantize(Isa::scalar, p.stored.type, count, column + k * bytes, w);
      for (index_t i = 0; i < rows; ++i) {
        const float x = a[i * p.a.row_stride + k * p.a.col_stride];
        for (index_t l = 0; l < count; ++l) sums[i][l] += x * w[l];
      }
    }
    for (index_t i = 0; i < rows; ++i) {
      float* const c = p.c + (from + i) * p.stride_c + j;
      for (index_t l = 0; l < count; ++l) {
        sums[i][l] = sums[i][l] * p.alpha + (p.bias != nullptr ? p.bias[j + l] : 0);
      }
      if (p.activation) {
        unary(Isa::scalar, serial_workers(), *p.activation, count, sums[i], sums[i]);
      }
      for (index_t l = 0; l < count; ++l) c[l] = p.accumulate ? c[l] + sums[i][l] : sums[i][l];
    }
  });
}

}  // namespace

template <class T>
void matmul(Workers& workers, const MatmulArgs<T>& p) {
  if constexpr (std::is_same_v<T, float>) {
    if (p.stored.data != nullptr && p.stored.rows_of_b) return stored_b_matmul(workers, p);
    if (p.stored.data != nullptr) return stored_matmul(workers, p);
  }
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
