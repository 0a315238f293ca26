#include "kernels/elementwise/elementwise_levels.hpp"
#include "kernels/reduce/lane_sums.hpp"

namespace attn::kernels::ATTN_ISA_NS {
namespace {

template <class Op>
void for_rows(index_t rows, index_t cols, const float* a, const float* b, float* y, Op op) {
  for (index_t r = 0; r < rows; ++r, a += cols, y += cols) {
    for_vectors(cols, [=](index_t i, auto access) {
      access.store(y + i, op(access.load(a + i), access.load(b + i)));
    });
  }
}

}  // namespace

void binary(Binary op, index_t rows, index_t cols, const float* a, const float* b, float* y) {
  switch (op) {
    case Binary::add: return for_rows(rows, cols, a, b, y, [](vf u, vf v) { return u + v; });
    case Binary::sub: return for_rows(rows, cols, a, b, y, [](vf u, vf v) { return u - v; });
    case Binary::mul: return for_rows(rows, cols, a, b, y, [](vf u, vf v) { return u * v; });
  }
}

void affine(index_t n, float scale, float shift, const float* x, float* y) {
  for_vectors(n, [=](index_t i, auto access) {
    access.store(y + i, fused(vf(scale), access.load(x + i), vf(shift)));
  });
}

void accumulate(index_t n, float scale, const float* x, float* y) {
  for_vectors(n, [=](index_t i, auto access) {
    access.store(y + i, fused(vf(scale), access.load(x + i), access.load(y + i)));
  });
}

}  // namespace attn::kernels::ATTN_ISA_NS
