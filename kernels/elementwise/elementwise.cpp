#include "kernels/elementwise/elementwise.hpp"

#include "kernels/dispatch.hpp"
#include "kernels/elementwise/elementwise_levels.hpp"

#include <algorithm>
#include <type_traits>

namespace attn::kernels {
namespace {

// 64 KiB of floats a chunk: enough work to be worth a hand-over between threads
constexpr index_t grain = 16384;

// body(first, count) for every chunk of n elements
template <class Body>
void for_chunks(Workers& workers, index_t n, const Body& body) {
  parallel_for(workers, ceil_div(n, grain), [&](index_t chunk, int) {
    body(chunk * grain, std::min(grain, n - chunk * grain));
  });
}

}  // namespace

template <class T>
void unary(Isa isa, Workers& workers, Unary function, index_t n, const T* x, T* y) {
  UnaryRun<T> run = scalar::unary<T>;
  if constexpr (std::is_same_v<T, float>) {
    run = at_level<UnaryRun<float>>(isa, run, avx2::unary, avx512::unary);
  }
  for_chunks(workers, n, [&](index_t at, index_t count) { run(function, count, x + at, y + at); });
}

template <class T>
void unary_backward(Isa isa, Workers& workers, Unary function, index_t n, const T* x, const T* dy,
                    T* dx) {
  UnaryBackward<T> run = scalar::unary_backward<T>;
  if constexpr (std::is_same_v<T, float>) {
    run = at_level<UnaryBackward<float>>(isa, run, avx2::unary_backward, avx512::unary_backward);
  }
  for_chunks(workers, n,
             [&](index_t at, index_t count) { run(function, count, x + at, dy + at, dx + at); });
}

template <class T>
void binary(Isa isa, Workers& workers, Binary op, index_t rows, index_t cols, const T* a,
            const T* b, bool broadcast_b, T* y) {
  BinaryRun<T> run = scalar::binary<T>;
  if constexpr (std::is_same_v<T, float>) {
    run = at_level<BinaryRun<float>>(isa, run, avx2::binary, avx512::binary);
  }
  if (rows <= 0 || cols <= 0) return;
  if (!broadcast_b || rows == 1) {
    for_chunks(workers, rows * cols,
               [&](index_t at, index_t count) { run(op, 1, count, a + at, b + at, y + at); });
  } else if (cols <= grain) {
    const index_t step = grain / cols;
    parallel_for(workers, ceil_div(rows, step), [&](index_t chunk, int) {
      const index_t at = chunk * step;
      run(op, std::min(step, rows - at), cols, a + at * cols, b, y + at * cols);
    });
  } else {
    const index_t pieces = ceil_div(cols, grain);
    parallel_for(workers, rows * pieces, [&](index_t chunk, int) {
      const index_t row = chunk / pieces * cols, at = chunk % pieces * grain;
      run(op, 1, std::min(grain, cols - at), a + row + at, b + at, y + row + at);
    });
  }
}

template <class T>
void gated_silu(Isa isa, Workers& workers, index_t n, const T* gate, const T* up, T* y) {
  GatedSilu<T> run = scalar::gated_silu<T>;
  if constexpr (std::is_same_v<T, float>) {
    run = at_level<GatedSilu<float>>(isa, run, avx2::gated_silu, avx512::gated_silu);
  }
  for_chunks(workers, n,
             [&](index_t at, index_t count) { run(count, gate + at, up + at, y + at); });
}

template <class T>
void gated_silu_backward(Isa isa, Workers& workers, index_t n, const T* gate, const T* up,
                         const T* dy, T* dgate, T* dup) {
  GatedSiluBackward<T> run = scalar::gated_silu_backward<T>;
  if constexpr (std::is_same_v<T, float>) {
    run = at_level<GatedSiluBackward<float>>(isa, run, avx2::gated_silu_backward,
                                             avx512::gated_silu_backward);
  }
  for_chunks(workers, n, [&](index_t at, index_t count) {
    run(count, gate + at, up + at, dy + at, dgate + at, dup + at);
  });
}

template <class T>
void affine(Isa isa, Workers& workers, index_t n, T scale, T shift, const T* x, T* y) {
  Affine<T> run = scalar::affine<T>;
  if constexpr (std::is_same_v<T, float>) {
    run = at_level<Affine<float>>(isa, run, avx2::affine, avx512::affine);
  }
  for_chunks(workers, n,
             [&](index_t at, index_t count) { run(count, scale, shift, x + at, y + at); });
}

template <class T>
void fill_zeros(Workers& workers, index_t n, T* y) {
  for_chunks(workers, n, [&](index_t at, index_t count) { std::fill_n(y + at, count, T{0}); });
}

template <class T>
void accumulate(Isa isa, Workers& workers, index_t n, T scale, const T* x, T* y) {
  Accumulate<T> run = scalar::accumulate<T>;
  if constexpr (std::is_same_v<T, float>) {
    run = at_level<Accumulate<float>>(isa, run, avx2::accumulate, avx512::accumulate);
  }
  for_chunks(workers, n, [&](index_t at, index_t count) { run(count, scale, x + at, y + at); });
}

template void unary(Isa, Workers&, Unary, index_t, const float*, float*);
template void unary(Isa, Workers&, Unary, index_t, const double*, double*);
template void unary_backward(Isa, Workers&, Unary, index_t, const float*, const float*, float*);
template void unary_backward(Isa, Workers&, Unary, index_t, const double*, const double*, double*);
template void binary(Isa, Workers&, Binary, index_t, index_t, const float*, const float*, bool,
                     float*);
template void binary(Isa, Workers&, Binary, index_t, index_t, const double*, const double*, bool,
                     double*);
template void gated_silu(Isa, Workers&, index_t, const float*, const float*, float*);
template void gated_silu(Isa, Workers&, index_t, const double*, const double*, double*);
template void gated_silu_backward(Isa, Workers&, index_t, const float*, const float*, const float*,
                                  float*, float*);
template void gated_silu_backward(Isa, Workers&, index_t, const double*, const double*,
                                  const double*, double*, double*);
template void affine(Isa, Workers&, index_t, float, float, const float*, float*);
template void affine(Isa, Workers&, index_t, double, double, const double*, double*);
template void fill_zeros(Workers&, index_t, float*);
template void fill_zeros(Workers&, index_t, double*);
template void accumulate(Isa, Workers&, index_t, float, const float*, float*);
template void accumulate(Isa, Workers&, index_t, double, const double*, double*);

}  // namespace attn::kernels
