#include "kernels/softmax/softmax.hpp"

#include "kernels/dispatch.hpp"
#include "kernels/softmax/softmax_levels.hpp"

#include <algorithm>
#include <type_traits>

namespace attn::kernels {
namespace {

// 128k elements a chunk, some 10 µs: worth a hand-over between threads, short enough to share
// evenly, and long enough for the first and last row, which stream beside no other, not to count
constexpr index_t grain = 131072;

index_t rows_per_chunk(index_t cols) {
  return std::max<index_t>(1, grain / std::max<index_t>(1, cols));
}

}  // namespace

template <class T>
void softmax(Isa isa, Workers& workers, const SoftmaxArgs<T>& args) {
  SoftmaxRows<T> version = scalar::softmax_rows<T>;
  if constexpr (std::is_same_v<T, float>) {
    version = at_level<SoftmaxRows<float>>(isa, version, avx2::softmax_rows, avx512::softmax_rows);
  }
  const index_t rows = rows_per_chunk(args.cols);
  parallel_for(workers, ceil_div(args.rows, rows), [&](index_t chunk, int) {
    const index_t first = chunk * rows;
    version(args, first, std::min(rows, args.rows - first));
  });
}

template <class T>
void softmax_backward(Isa isa, Workers& workers, index_t rows, index_t cols, T scale, const T* y,
                      const T* dy, T* dx) {
  SoftmaxBackwardRows<T> version = scalar::softmax_backward_rows<T>;
  if constexpr (std::is_same_v<T, float>) {
    version = at_level<SoftmaxBackwardRows<float>>(isa, version, avx2::softmax_backward_rows,
                                                   avx512::softmax_backward_rows);
  }
  const index_t each = rows_per_chunk(cols);
  parallel_for(workers, ceil_div(rows, each), [&](index_t chunk, int) {
    const index_t first = chunk * each, at = first * cols;
    version(std::min(each, rows - first), cols, scale, y + at, dy + at, dx + at);
  });
}

template void softmax(Isa, Workers&, const SoftmaxArgs<float>&);
template void softmax(Isa, Workers&, const SoftmaxArgs<double>&);
template void softmax_backward(Isa, Workers&, index_t, index_t, float, const float*, const float*,
                               float*);
template void softmax_backward(Isa, Workers&, index_t, index_t, double, const double*,
                               const double*, double*);

}  // namespace attn::kernels
