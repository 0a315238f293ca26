#include "kernels/reduce/lane_sums.hpp"
#include "kernels/rope/rope_levels.hpp"

namespace attn::kernels::ATTN_ISA_NS {
namespace {

// Neighbours change places.
#if defined(ATTN_ISA_avx512)
inline vf swapped(vf x) { return _mm512_permute_ps(x, 0xb1); }
#else
inline vf swapped(vf x) { return _mm256_permute_ps(x, 0xb1); }
#endif

void turn_halves(index_t pairs, const float* x, const float* cosines, const float* sines, vf sign,
                 float* y) {
  for_vectors(pairs, [=](index_t i, auto access) {
    const vf first = access.load(x + i), second = access.load(x + pairs + i);
    const vf cosine = access.load(cosines + pairs + i);
    const vf sine = access.load(sines + pairs + i) * sign;
    access.store(y + i, fused(first, cosine, -(second * sine)));
    access.store(y + pairs + i, fused(second, cosine, first * sine));
  });
}

void turn_neighbours(index_t rotary, const float* x, const float* cosines, const float* sines,
                     vf sign, float* y) {
  // rotary is even, so that no pair is parted by the tail
  for_vectors(rotary, [=](index_t i, auto access) {
    const vf value = access.load(x + i);
    const vf sine = access.load(sines + i) * sign;
    access.store(y + i, fused(value, access.load(cosines + i), swapped(value) * sine));
  });
}

}  // namespace

void rope(const RopeArgs<float>& a, index_t begin, index_t end) {
  const vf sign(a.inverse ? -1.0F : 1.0F);
  const index_t width = a.heads * a.head_dim;
  for (index_t t = begin; t < end; ++t) {
    const float* const cosines = a.table + t * 2 * a.rotary;
    const float* const sines = cosines + a.rotary;
    for (index_t h = 0; h < a.heads; ++h) {
      const float* const x = a.x + t * a.stride + h * a.head_dim;
      float* const y = a.y + t * width + h * a.head_dim;
      if (a.layout == RopeLayout::half) {
        turn_halves(a.rotary / 2, x, cosines, sines, sign, y);
      } else {
        turn_neighbours(a.rotary, x, cosines, sines, sign, y);
      }
      if (x == y) continue;
      for (index_t i = a.rotary; i < a.head_dim; ++i) y[i] = x[i];
    }
  }
}

}  // namespace attn::kernels::ATTN_ISA_NS
