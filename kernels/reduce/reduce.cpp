#include "kernels/reduce/reduce.hpp"

#include "kernels/dispatch.hpp"
#include "kernels/reduce/reduce_levels.hpp"

#include <algorithm>
#include <type_traits>

namespace attn::kernels {
namespace {

// 64 KiB of floats a chunk: enough work to be worth a hand-over between threads
constexpr index_t grain = 16384;

template <class T>
ReduceRows<T> row_version(Isa isa, Reduce op) {
  if constexpr (std::is_same_v<T, float>) {
    return op == Reduce::max ? at_level<ReduceRows<float>>(isa, scalar::max_rows<float>,
                                                           avx2::max_rows, avx512::max_rows)
                             : at_level<ReduceRows<float>>(isa, scalar::sum_rows<float>,
                                                           avx2::sum_rows, avx512::sum_rows);
  } else {
    return op == Reduce::max ? scalar::max_rows<T> : scalar::sum_rows<T>;
  }
}

template <class T>
SumColumns<T> column_version(Isa isa) {
  if constexpr (std::is_same_v<T, float>) {
    return at_level<SumColumns<float>>(isa, scalar::sum_columns<float>, avx2::sum_columns,
                                       avx512::sum_columns);
  } else {
    return scalar::sum_columns<T>;
  }
}

// A table of up to column_tile columns, its rows cut into parts whose sums are summed in turn.
template <class T>
void sum_columns_by_rows(Workers& workers, SumColumns<T> sum, index_t rows, index_t cols,
                         const T* x, index_t stride, T* y) {
  constexpr index_t most_parts = 16;  // 64 KiB of partial sums on the stack
  T partial[most_parts * column_tile];
  const index_t part_rows = ceil_div(rows, std::min(most_parts, ceil_div(rows * cols, grain)));
  const index_t parts = ceil_div(rows, part_rows);
  parallel_for(workers, parts, [&](index_t part, int) {
    const index_t at = part * part_rows;
    sum(std::min(part_rows, rows - at), cols, x + at * stride, stride, partial + part * cols);
  });
  sum(parts, cols, partial, cols, y);
}

template <class T>
void sum_columns_by_tiles(Workers& workers, SumColumns<T> sum, index_t rows, index_t cols,
                          const T* x, index_t stride, T* y) {
  // a kibibyte of floats of every row; more where there are too few rows for that to be a chunk
  const index_t width =
      std::clamp<index_t>(round_up(grain / std::max<index_t>(rows, 1), 256), 256, column_tile);
  parallel_for(workers, ceil_div(cols, width), [&](index_t tile, int) {
    const index_t at = tile * width;
    sum(rows, std::min(width, cols - at), x + at, stride, y + at);
  });
}

}  // namespace

template <class T>
void reduce_rows(Isa isa, Workers& workers, Reduce op, index_t rows, index_t cols, const T* x,
                 T* y) {
  if (rows <= 0) return;
  const ReduceRows<T> reduce = row_version<T>(isa, op);
  const index_t chunk_rows = std::max<index_t>(1, grain / std::max<index_t>(cols, 1));
  parallel_for(workers, ceil_div(rows, chunk_rows), [&](index_t chunk, int) {
    const index_t at = chunk * chunk_rows;
    const index_t count = std::min(chunk_rows, rows - at);
    reduce(count, cols, x + at * cols, y + at);
    if (op == Reduce::mean) {
      for (index_t r = at; r < at + count; ++r) y[r] /= static_cast<T>(cols);
    }
  });
}

template <class T>
void sum_columns(Isa isa, Workers& workers, index_t rows, index_t cols, const T* x,
                 index_t stride_x, T* y) {
  if (cols <= 0) return;
  const SumColumns<T> sum = column_version<T>(isa);
  if (cols > column_tile) return sum_columns_by_tiles(workers, sum, rows, cols, x, stride_x, y);
  if (rows * cols <= grain) return sum(rows, cols, x, stride_x, y);
  sum_columns_by_rows(workers, sum, rows, cols, x, stride_x, y);
}

template <class T>
T dot(Isa isa, index_t n, const T* x, const T* w) {
  Dot<T> version = scalar::dot<T>;
  if constexpr (std::is_same_v<T, float>) {
    version = at_level<Dot<float>>(isa, version, avx2::dot, avx512::dot);
  }
  return version(n, x, w);
}

template void reduce_rows(Isa, Workers&, Reduce, index_t, index_t, const float*, float*);
template void reduce_rows(Isa, Workers&, Reduce, index_t, index_t, const double*, double*);
template void sum_columns(Isa, Workers&, index_t, index_t, const float*, index_t, float*);
template void sum_columns(Isa, Workers&, index_t, index_t, const double*, index_t, double*);
template float dot(Isa, index_t, const float*, const float*);
template double dot(Isa, index_t, const double*, const double*);

}  // namespace attn::kernels
