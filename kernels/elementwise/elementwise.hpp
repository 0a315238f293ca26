#pragma once

#include "kernels/isa.hpp"
#include "kernels/workers.hpp"

namespace attn::kernels {

/// Functions of one number.
///   gelu       x Φ(x) = x/2 (1 + erf(x/√2)), the exact form (BERT)
///   gelu_tanh  x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))
///   silu       x σ(x)
/// Error bounds against float64: exp 1 ULP, tanh 2, sigmoid 2, silu 2, gelu_tanh 2,
/// gelu 3 for |x| < 3 and 5 beyond.
/// NaN gives NaN; exp saturates to 0 and +inf as expf does; gelu, gelu_tanh and silu of −inf are
/// −0; relu keeps −0.
enum class Unary { exp, tanh, sigmoid, relu, gelu, gelu_tanh, silu };

/// y[i] = f(x[i]), i < n. y may be x. T: float, double.
template <class T>
void unary(Isa isa, Workers& workers, Unary function, index_t n, const T* x, T* y);

/// dx[i] = dy[i] · f'(x[i]), i < n. Takes the input x, not the output. dx may be dy. f' is within
/// 1e-6 max(1, |f'|); relu's is 0 at 0.
template <class T>
void unary_backward(Isa isa, Workers& workers, Unary function, index_t n, const T* x, const T* dy,
                    T* dx);

enum class Binary { add, sub, mul };

/// y[r, c] = a[r, c] op b[r or 0, c] over contiguous rows × cols: with broadcast_b, b is one row
/// [cols] (a bias, a gain). y may be a or b (b only without broadcast).
template <class T>
void binary(Isa isa, Workers& workers, Binary op, index_t rows, index_t cols, const T* a,
            const T* b, bool broadcast_b, T* y);

/// y[i] = silu(gate[i]) · up[i] (Shazeer 2020, SwiGLU), within 3 ULP. y may be gate or up.
template <class T>
void gated_silu(Isa isa, Workers& workers, index_t n, const T* gate, const T* up, T* y);

/// Its way back: dgate[i] = dy[i] · up[i] · silu'(gate[i]), dup[i] = dy[i] · silu(gate[i]), with
/// the error bounds of silu' and twice those of silu. dgate or dup may be one of gate, up and dy.
template <class T>
void gated_silu_backward(Isa isa, Workers& workers, index_t n, const T* gate, const T* up,
                         const T* dy, T* dgate, T* dup);

/// y[i] = scale · x[i] + shift. y may be x.
template <class T>
void affine(Isa isa, Workers& workers, index_t n, T scale, T shift, const T* x, T* y);

/// y[i] = 0.
template <class T>
void fill_zeros(Workers& workers, index_t n, T* y);

/// y[i] += scale · x[i].
template <class T>
void accumulate(Isa isa, Workers& workers, index_t n, T scale, const T* x, T* y);

}  // namespace attn::kernels
