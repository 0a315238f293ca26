#pragma once

// Squares of registers transposed: for *_simd.cpp files.

#include "kernels/simd.hpp"

namespace attn::kernels::ATTN_ISA_NS {

#if defined(ATTN_ISA_avx512)
using Register = __m512;
/// r[i] is row i of a square of lanes × lanes, which is transposed in place: pairs, fours, and then
/// quarters of registers change places.
inline void transpose(Register (&r)[16]) {
  __m512 t[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    const auto pair = [&](int j) { return _mm512_castps_pd(t[i + j]); };
    r[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(pair(0), pair(2)));
    r[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(pair(0), pair(2)));
    r[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(pair(1), pair(3)));
    r[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(pair(1), pair(3)));
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m512 low02 = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
    const __m512 low13 = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
    const __m512 high02 = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
    const __m512 high13 = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
    t[i] = _mm512_shuffle_f32x4(low02, high02, 0x88);
    t[i + 4] = _mm512_shuffle_f32x4(low13, high13, 0x88);
    t[i + 8] = _mm512_shuffle_f32x4(low02, high02, 0xdd);
    t[i + 12] = _mm512_shuffle_f32x4(low13, high13, 0xdd);
  }
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) r[i] = t[i];
}
#else
using Register = __m256;
inline void transpose(Register (&r)[8]) {
  __m256 t[8];
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4) {
    const auto pair = [&](int j) { return _mm256_castps_pd(t[i + j]); };
    r[i] = _mm256_castpd_ps(_mm256_unpacklo_pd(pair(0), pair(2)));
    r[i + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(pair(0), pair(2)));
    r[i + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(pair(1), pair(3)));
    r[i + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(pair(1), pair(3)));
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
    t[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) r[i] = t[i];
}
#endif

}  // namespace attn::kernels::ATTN_ISA_NS
