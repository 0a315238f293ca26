#include "kernels/elementwise/elementwise_levels.hpp"
#include "kernels/elementwise/math_simd.hpp"
#include "kernels/reduce/lane_sums.hpp"

namespace attn::kernels::ATTN_ISA_NS {
namespace {

template <Unary function>
void run(index_t n, const float* x, float* y) {
  for_vectors(
      n, [=](index_t i, auto access) { access.store(y + i, apply<function>(access.load(x + i))); });
}

template <Unary function>
void run_backward(index_t n, const float* x, const float* dy, float* dx) {
  for_vectors(n, [=](index_t i, auto access) {
    access.store(dx + i, access.load(dy + i) * derivative<function>(access.load(x + i)));
  });
}

}  // namespace

void unary(Unary function, index_t n, const float* x, float* y) {
  switch (function) {
    case Unary::exp: return run<Unary::exp>(n, x, y);
    case Unary::tanh: return run<Unary::tanh>(n, x, y);
    case Unary::sigmoid: return run<Unary::sigmoid>(n, x, y);
    case Unary::relu: return run<Unary::relu>(n, x, y);
    case Unary::gelu: return run<Unary::gelu>(n, x, y);
    case Unary::gelu_tanh: return run<Unary::gelu_tanh>(n, x, y);
    case Unary::silu: return run<Unary::silu>(n, x, y);
  }
}

void unary_backward(Unary function, index_t n, const float* x, const float* dy, float* dx) {
  switch (function) {
    case Unary::exp: return run_backward<Unary::exp>(n, x, dy, dx);
    case Unary::tanh: return run_backward<Unary::tanh>(n, x, dy, dx);
    case Unary::sigmoid: return run_backward<Unary::sigmoid>(n, x, dy, dx);
    case Unary::relu: return run_backward<Unary::relu>(n, x, dy, dx);
    case Unary::gelu: return run_backward<Unary::gelu>(n, x, dy, dx);
    case Unary::gelu_tanh: return run_backward<Unary::gelu_tanh>(n, x, dy, dx);
    case Unary::silu: return run_backward<Unary::silu>(n, x, dy, dx);
  }
}

void gated_silu(index_t n, const float* gate, const float* up, float* y) {
  for_vectors(n, [=](index_t i, auto access) {
    access.store(y + i, apply<Unary::silu>(access.load(gate + i)) * access.load(up + i));
  });
}

// One σ serves silu and its derivative, which are as apply() and derivative() have them.
void gated_silu_backward(index_t n, const float* gate, const float* up, const float* dy,
                         float* dgate, float* dup) {
  for_vectors(n, [=](index_t i, auto access) {
    const vf x = access.load(gate + i), d = access.load(dy + i), one(1.0F);
    const vf through = d * access.load(up + i);
    const vf a = at_most(xsimd::abs(x), 120.0F);
    const vf y = over_one_plus_exp(one, a);  // σ(−|x|)
    const vf slope = gated_slope(x, y * fused(-a, one - y, one));
    // below −120 it has faded to −0
    access.store(dup + i, d * (at_least(x, -120.0F) * gated_slope(x, y)));
    access.store(dgate + i, through * slope);
  });
}

}  // namespace attn::kernels::ATTN_ISA_NS
