#pragma once

#include "kernels/elementwise/elementwise.hpp"

namespace attn::kernels {

// The family's functions on the caller's thread; a version at every level.

template <class T>
using UnaryRun = void (*)(Unary function, index_t n, const T* x, T* y);
template <class T>
using UnaryBackward = void (*)(Unary function, index_t n, const T* x, const T* dy, T* dx);
/// b is one row [cols], which every row of a meets.
template <class T>
using BinaryRun = void (*)(Binary op, index_t rows, index_t cols, const T* a, const T* b, T* y);
template <class T>
using GatedSilu = void (*)(index_t n, const T* gate, const T* up, T* y);
template <class T>
using GatedSiluBackward = void (*)(index_t n, const T* gate, const T* up, const T* dy, T* dgate,
                                   T* dup);
template <class T>
using Affine = void (*)(index_t n, T scale, T shift, const T* x, T* y);
template <class T>
using Accumulate = void (*)(index_t n, T scale, const T* x, T* y);

namespace scalar {
template <class T>
void unary(Unary function, index_t n, const T* x, T* y);
template <class T>
void unary_backward(Unary function, index_t n, const T* x, const T* dy, T* dx);
template <class T>
void binary(Binary op, index_t rows, index_t cols, const T* a, const T* b, T* y);
template <class T>
void gated_silu(index_t n, const T* gate, const T* up, T* y);
template <class T>
void gated_silu_backward(index_t n, const T* gate, const T* up, const T* dy, T* dgate, T* dup);
template <class T>
void affine(index_t n, T scale, T shift, const T* x, T* y);
template <class T>
void accumulate(index_t n, T scale, const T* x, T* y);
}  // namespace scalar
namespace avx2 {
void unary(Unary function, index_t n, const float* x, float* y);
void unary_backward(Unary function, index_t n, const float* x, const float* dy, float* dx);
void binary(Binary op, index_t rows, index_t cols, const float* a, const float* b, float* y);
void gated_silu(index_t n, const float* gate, const float* up, float* y);
void gated_silu_backward(index_t n, const float* gate, const float* up, const float* dy,
                         float* dgate, float* dup);
void affine(index_t n, float scale, float shift, const float* x, float* y);
void accumulate(index_t n, float scale, const float* x, float* y);
}  // namespace avx2
namespace avx512 {
void unary(Unary function, index_t n, const float* x, float* y);
void unary_backward(Unary function, index_t n, const float* x, const float* dy, float* dx);
void binary(Binary op, index_t rows, index_t cols, const float* a, const float* b, float* y);
void gated_silu(index_t n, const float* gate, const float* up, float* y);
void gated_silu_backward(index_t n, const float* gate, const float* up, const float* dy,
                         float* dgate, float* dup);
void affine(index_t n, float scale, float shift, const float* x, float* y);
void accumulate(index_t n, float scale, const float* x, float* y);
}  // namespace avx512

}  // namespace attn::kernels
