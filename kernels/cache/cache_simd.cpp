#include "kernels/cache/cache_levels.hpp"
#include "kernels/quant/blocks.hpp"
#include "kernels/simd.hpp"

namespace attn::kernels::ATTN_ISA_NS {
namespace {

// As many numbers as a vector has, rounded to nearest even by adding half of the last place in the
// integer domain; a NaN stays one.
void store_bfloats(vf x, uint8_t* to) {
#if defined(ATTN_ISA_avx512)
  const __m512i bits = _mm512_castps_si512(x), high = _mm512_srli_epi32(bits, 16);
  const __m512i odd = _mm512_and_si512(high, _mm512_set1_epi32(1));
  const __m512i sum = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
  const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
  const __m512i rounded =
      _mm512_mask_or_epi32(_mm512_srli_epi32(sum, 16), nan, high, _mm512_set1_epi32(0x40));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(rounded));
#else
  const __m256i bits = _mm256_castps_si256(x), high = _mm256_srli_epi32(bits, 16);
  const __m256i odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
  const __m256i sum = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  const __m256i quiet = _mm256_or_si256(high, _mm256_set1_epi32(0x40));
  const __m256i rounded = _mm256_blendv_epi8(_mm256_srli_epi32(sum, 16), quiet, nan);
  _mm_storeu_si128(
      reinterpret_cast<__m128i*>(to),
      _mm_packus_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1)));
#endif
}

vf widen_bfloats(const uint8_t* from) {
#if defined(ATTN_ISA_avx512)
  const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
#else
  const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
#endif
}

// As many steps as a vector has, as numbers.
vf widen_steps(const uint8_t* from) {
#if defined(ATTN_ISA_avx512)
  const __m128i steps = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(steps));
#else
  const __m128i steps = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(steps));
#endif
}

// The nearest steps, from −127 to 127.
void store_steps(vf x, uint8_t* to) {
#if defined(ATTN_ISA_avx512)
  const __m512i steps = _mm512_max_epi32(_mm512_cvtps_epi32(x), _mm512_set1_epi32(-127));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtsepi32_epi8(steps));
#else
  const __m256i steps = _mm256_max_epi32(_mm256_cvtps_epi32(x), _mm256_set1_epi32(-127));
  const __m128i words =
      _mm_packs_epi32(_mm256_castsi256_si128(steps), _mm256_extracti128_si256(steps, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packs_epi16(words, words));
#endif
}

void store_block(const float* x, uint8_t* to) {
  constexpr int vectors = Q8_0::weights / lanes;
  vf values[vectors], largest(0.0F);
  bool in_range = true;
  for (int i = 0; i < vectors; ++i) {
    values[i] = vf::load_unaligned(x + i * lanes);
    const vf magnitude = xsimd::abs(values[i]);
    in_range = in_range && xsimd::all(magnitude <= vf(largest_in_q8_0));  // false for a NaN
    largest = xsimd::max(largest, magnitude);
  }
  alignas(64) float parts[lanes];
  largest.store_aligned(parts);
  float most = 0;
  for (const float part : parts) most = part > most ? part : most;
  const uint16_t scale = in_range ? _cvtss_sh(most / 127, _MM_FROUND_TO_NEAREST_INT) : 0x7e00;
  __builtin_memcpy(to, &scale, sizeof scale);
  const float step = _cvtsh_ss(scale), inverse = step > 0 ? 1 / step : 0;
  for (int i = 0; i < vectors; ++i) {
    store_steps(in_range ? values[i] * vf(inverse) : vf(0.0F), to + 2 + i * lanes);
  }
}

void store_row(index_t n, const float* from, uint8_t* to) {
  index_t i = 0;
  for (; i + lanes <= n; i += lanes) store_bfloats(vf::load_unaligned(from + i), to + 2 * i);
  if (i == n) return;
  uint8_t some[2 * lanes];
  store_bfloats(load_partial(from + i, n - i), some);
  __builtin_memcpy(to + 2 * i, some, static_cast<size_t>(2 * (n - i)));
}

void widen_bfloat_row(index_t n, const uint8_t* from, float* to) {
  index_t i = 0;
  for (; i + lanes <= n; i += lanes) widen_bfloats(from + 2 * i).store_unaligned(to + i);
  if (i == n) return;
  uint8_t some[2 * lanes] = {};
  __builtin_memcpy(some, from + 2 * i, static_cast<size_t>(2 * (n - i)));
  widen_bfloats(some).store_unaligned(to + i);
}

void widen_block_row(index_t n, const uint8_t* from, float* to) {
  for (index_t i = 0; i < n; i += Q8_0::weights, from += Q8_0::bytes) {
    const vf scale(_cvtsh_ss(load_u16(from)));
    for (index_t j = 0; j < Q8_0::weights; j += lanes) {
      (widen_steps(from + 2 + j) * scale).store_unaligned(to + i + j);
    }
  }
}

}  // namespace

void store_in_cache(WeightType type, index_t n, const float* from, uint8_t* to) {
  if (type == WeightType::bf16) return store_row(n, from, to);
  if (type == WeightType::q8_0) {
    for (index_t i = 0; i < n; i += Q8_0::weights, to += Q8_0::bytes) store_block(from + i, to);
    return;
  }
  if (n > 0) __builtin_memcpy(to, from, static_cast<size_t>(n) * sizeof(float));
}

void widen_rows(WeightType type, index_t rows, index_t n, const uint8_t* from, index_t from_row,
                float* to, index_t to_row) {
  for (index_t r = 0; r < rows; ++r, from += from_row, to += to_row) {
    type == WeightType::bf16 ? widen_bfloat_row(n, from, to) : widen_block_row(n, from, to);
  }
}

}  // namespace attn::kernels::ATTN_ISA_NS
