#pragma once

// For *_simd.cpp files only: they are compiled once per ISA level, and everything in them lives in
// namespace attn::kernels::ATTN_ISA_NS. They include nothing from the standard library that could
// emit an inline function under a name another object shares (containers, algorithms, streams).

#ifndef ATTN_ISA_NS
#error "simd.hpp belongs to *_simd.cpp files"
#endif

#include "kernels/types.hpp"

#include <xsimd/xsimd.hpp>

namespace attn::kernels::ATTN_ISA_NS {

#if defined(ATTN_ISA_avx512)
using arch = xsimd::avx512bw;
#elif defined(ATTN_ISA_avx2)
using arch = xsimd::fma3<xsimd::avx2>;
#endif

using vf = xsimd::batch<float, arch>;
using vi = xsimd::batch<int, arch>;
inline constexpr index_t lanes = static_cast<index_t>(vf::size);

/// a · b + c, rounded once. Not xsimd's fma: at AVX-512 version 8 has none and falls back to a
/// product and a sum, at half the speed and with two roundings.
#if defined(ATTN_ISA_avx512)
inline vf fused(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
#elif defined(ATTN_ISA_avx2)
inline vf fused(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
#endif

// xsimd 8 has no masked memory access; a tail goes through these, so that it sees the same
// arithmetic as the full vectors and touches no byte outside its count.
#if defined(ATTN_ISA_avx512)
inline __mmask16 tail_mask(index_t count) {
  return static_cast<__mmask16>(_bzhi_u32(0xffff, static_cast<unsigned>(count)));
}
/// The first `count` (< lanes) elements at p; 0 in the other lanes.
inline vf load_partial(const float* p, index_t count) {
  return _mm512_maskz_loadu_ps(tail_mask(count), p);
}
/// Stores the first `count` (< lanes) lanes.
inline void store_partial(float* p, index_t count, vf v) {
  _mm512_mask_storeu_ps(p, tail_mask(count), v);
}
/// v in the first `count` lanes, `fill` in the others.
inline vf fill_from(vf v, index_t count, float fill) {
  return _mm512_mask_blend_ps(tail_mask(count), _mm512_set1_ps(fill), v);
}
#elif defined(ATTN_ISA_avx2)
inline __m256i tail_mask(index_t count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
inline vf load_partial(const float* p, index_t count) {
  return _mm256_maskload_ps(p, tail_mask(count));
}
inline void store_partial(float* p, index_t count, vf v) {
  _mm256_maskstore_ps(p, tail_mask(count), v);
}
inline vf fill_from(vf v, index_t count, float fill) {
  return _mm256_blendv_ps(_mm256_set1_ps(fill), v, _mm256_castsi256_ps(tail_mask(count)));
}
#endif

}  // namespace attn::kernels::ATTN_ISA_NS
