#include "kernels/embedding/embedding.hpp"

#include "kernels/dispatch.hpp"
#include "kernels/embedding/embedding_levels.hpp"

#include <algorithm>
#include <type_traits>

namespace attn::kernels {
namespace {

// 64 KiB of floats a chunk: enough bytes to be worth a hand-over between threads
constexpr index_t grain = 16384;

}  // namespace

template <class T>
void gather_rows(Isa isa, Workers& workers, index_t count, index_t cols, const T* table,
                 const std::int32_t* ids, T* y) {
  if (count <= 0 || cols <= 0) return;
  GatherRows<T> gather = scalar::gather_rows<T>;
  if constexpr (std::is_same_v<T, float>) {
    gather = at_level<GatherRows<float>>(isa, gather, avx2::gather_rows, avx512::gather_rows);
  }
  if (count * cols <= grain) return gather(count, cols, table, ids, y);
  const index_t rows = std::max<index_t>(1, grain / cols);
  parallel_for(workers, ceil_div(count, rows), [&](index_t chunk, int) {
    const index_t at = chunk * rows;
    gather(std::min(rows, count - at), cols, table, ids + at, y + at * cols);
  });
}

template <class T>
void scatter_add_rows(Isa isa, Workers& workers, index_t count, index_t cols, const T* dy,
                      const std::int32_t* ids, T* dtable) {
  if (count <= 0 || cols <= 0) return;
  ScatterAddRows<T> scatter = scalar::scatter_add_rows<T>;
  if constexpr (std::is_same_v<T, float>) {
    scatter = at_level<ScatterAddRows<float>>(isa, scatter, avx2::scatter_add_rows,
                                              avx512::scatter_add_rows);
  }
  if (count * cols <= grain) return scatter(count, cols, cols, dy, ids, dtable);
  // 1 KiB of a row of floats: whole cache lines (of an aligned table), three chunks of BERT's 768
  constexpr index_t width = 256;
  parallel_for(workers, ceil_div(cols, width), [&](index_t chunk, int) {
    const index_t at = chunk * width;
    scatter(count, std::min(width, cols - at), cols, dy + at, ids, dtable + at);
  });
}

index_t first_out_of_range(index_t count, const std::int32_t* ids, index_t vocab) noexcept {
  index_t i = 0;
  while (i < count && ids[i] >= 0 && ids[i] < vocab) ++i;
  return i;
}

template void gather_rows(Isa, Workers&, index_t, index_t, const float*, const std::int32_t*,
                          float*);
template void gather_rows(Isa, Workers&, index_t, index_t, const double*, const std::int32_t*,
                          double*);
template void scatter_add_rows(Isa, Workers&, index_t, index_t, const float*, const std::int32_t*,
                               float*);
template void scatter_add_rows(Isa, Workers&, index_t, index_t, const double*, const std::int32_t*,
                               double*);

}  // namespace attn::kernels
