#include "kernels/norm/norm.hpp"

#include "kernels/dispatch.hpp"
#include "kernels/norm/norm_levels.hpp"
#include "kernels/reduce/reduce.hpp"

#include <algorithm>
#include <type_traits>

namespace attn::kernels {
namespace {

// body(first row, rows of the chunk): 64 KiB of floats a chunk, enough work to be worth a hand-over
template <class Body>
void for_row_chunks(Workers& workers, index_t rows, index_t cols, const Body& body) {
  const index_t chunk = std::max<index_t>(1, 16384 / std::max<index_t>(cols, 1));
  parallel_for(workers, ceil_div(rows, chunk),
               [&](index_t i, int) { body(i * chunk, std::min(chunk, rows - i * chunk)); });
}

// Rows whose gradients of gamma and beta are summed one after the other: 128 KiB of floats of x,
// but not so many that rounding shows, nor so few that the partial sums of all blocks weigh.
constexpr index_t block_rows(index_t cols) {
  return std::clamp<index_t>(32768 / std::max<index_t>(cols, 1), 16, 128);
}

// body(first row, rows, dgamma, dbeta) for every block, with sums of the block's own, which are
// then added up.
template <class T, class Body>
void for_row_blocks(Isa isa, Workers& workers, index_t rows, index_t cols, T* dgamma, T* dbeta,
                    T* scratch, const Body& body) {
  const index_t block = block_rows(cols), blocks = ceil_div(rows, block);
  const bool sums = dgamma != nullptr || dbeta != nullptr;
  if (blocks == 1 && sums) {  // the sums are the block's
    return body(0, rows, dgamma != nullptr ? dgamma : scratch,
                dbeta != nullptr ? dbeta : scratch + cols);
  }
  parallel_for(workers, blocks, [&](index_t i, int) {
    T* const own = sums ? scratch + i * 2 * cols : nullptr;
    body(i * block, std::min(block, rows - i * block), own, sums ? own + cols : nullptr);
  });
  if (dgamma != nullptr) sum_columns(isa, workers, blocks, cols, scratch, 2 * cols, dgamma);
  if (dbeta != nullptr) sum_columns(isa, workers, blocks, cols, scratch + cols, 2 * cols, dbeta);
}

}  // namespace

template <class T>
void layer_norm(Isa isa, Workers& workers, index_t rows, index_t cols, T eps, const T* x,
                const T* gamma, const T* beta, T* y, T* mean, T* rstd) {
  LayerNorm<T> version = scalar::layer_norm<T>;
  if constexpr (std::is_same_v<T, float>) {
    version = at_level<LayerNorm<float>>(isa, version, avx2::layer_norm, avx512::layer_norm);
  }
  for_row_chunks(workers, rows, cols, [&](index_t at, index_t count) {
    version(count, cols, eps, x + at * cols, gamma, beta, y + at * cols,
            mean != nullptr ? mean + at : nullptr, rstd != nullptr ? rstd + at : nullptr);
  });
}

template <class T>
void layer_norm_backward(Isa isa, Workers& workers, index_t rows, index_t cols, const T* x,
                         const T* gamma, const T* mean, const T* rstd, const T* dy, T* dx,
                         T* dgamma, T* dbeta, T* scratch) {
  LayerNormBackward<T> version = scalar::layer_norm_backward<T>;
  if constexpr (std::is_same_v<T, float>) {
    version = at_level<LayerNormBackward<float>>(isa, version, avx2::layer_norm_backward,
                                                 avx512::layer_norm_backward);
  }
  for_row_blocks(isa, workers, rows, cols, dgamma, dbeta, scratch,
                 [&](index_t at, index_t count, T* own_dgamma, T* own_dbeta) {
                   version(count, cols, x + at * cols, gamma, mean + at, rstd + at, dy + at * cols,
                           dx != nullptr ? dx + at * cols : nullptr, own_dgamma, own_dbeta);
                 });
}

template <class T>
void rms_norm(Isa isa, Workers& workers, index_t rows, index_t cols, T eps, const T* x,
              const T* gamma, T* y, T* rstd) {
  RmsNorm<T> version = scalar::rms_norm<T>;
  if constexpr (std::is_same_v<T, float>) {
    version = at_level<RmsNorm<float>>(isa, version, avx2::rms_norm, avx512::rms_norm);
  }
  for_row_chunks(workers, rows, cols, [&](index_t at, index_t count) {
    version(count, cols, eps, x + at * cols, gamma, y + at * cols,
            rstd != nullptr ? rstd + at : nullptr);
  });
}

template <class T>
void rms_norm_backward(Isa isa, Workers& workers, index_t rows, index_t cols, const T* x,
                       const T* gamma, const T* rstd, const T* dy, T* dx, T* dgamma, T* scratch) {
  RmsNormBackward<T> version = scalar::rms_norm_backward<T>;
  if constexpr (std::is_same_v<T, float>) {
    version = at_level<RmsNormBackward<float>>(isa, version, avx2::rms_norm_backward,
                                               avx512::rms_norm_backward);
  }
  for_row_blocks<T>(isa, workers, rows, cols, dgamma, nullptr, scratch,
                    [&](index_t at, index_t count, T* own_dgamma, T*) {
                      version(count, cols, x + at * cols, gamma, rstd + at, dy + at * cols,
                              dx != nullptr ? dx + at * cols : nullptr, own_dgamma);
                    });
}

index_t norm_backward_scratch(index_t rows, index_t cols) noexcept {
  return ceil_div(rows, block_rows(cols)) * 2 * cols;
}

template void layer_norm(Isa, Workers&, index_t, index_t, float, const float*, const float*,
                         const float*, float*, float*, float*);
template void layer_norm(Isa, Workers&, index_t, index_t, double, const double*, const double*,
                         const double*, double*, double*, double*);
template void layer_norm_backward(Isa, Workers&, index_t, index_t, const float*, const float*,
                                  const float*, const float*, const float*, float*, float*, float*,
                                  float*);
template void layer_norm_backward(Isa, Workers&, index_t, index_t, const double*, const double*,
                                  const double*, const double*, const double*, double*, double*,
                                  double*, double*);
template void rms_norm(Isa, Workers&, index_t, index_t, float, const float*, const float*, float*,
                       float*);
template void rms_norm(Isa, Workers&, index_t, index_t, double, const double*, const double*,
                       double*, double*);
template void rms_norm_backward(Isa, Workers&, index_t, index_t, const float*, const float*,
                                const float*, const float*, float*, float*, float*);
template void rms_norm_backward(Isa, Workers&, index_t, index_t, const double*, const double*,
                                const double*, const double*, double*, double*, double*);

}  // namespace attn::kernels
