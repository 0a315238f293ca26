// Keys and values as pairs of bfloat16, in the order in which products read them.

#include "kernels/attention/attention_pairs.hpp"
#include "kernels/transpose_simd.hpp"

#if defined(ATTN_ISA_dot)

namespace attn::kernels::ATTN_ISA_NS {
namespace {

// The `count` numbers at p, as far as there are 16; 0 in the other lanes.
__m512 some(const float* p, index_t count) {
  if (count >= 16) return _mm512_loadu_ps(p);
  return count <= 0 ? _mm512_setzero_ps() : __m512(load_partial(p, count));
}

// Not a NaN and not infinite, as bfloat16.
bool finite(__m512i pairs) {
  const __m512i magnitude = _mm512_and_si512(pairs, _mm512_set1_epi16(0x7fff));
  return _mm512_cmpge_epu16_mask(magnitude, _mm512_set1_epi16(0x7f80)) == 0;
}

}  // namespace

void pack_key_pairs(index_t count, index_t dim, const float* from, index_t row, const float* center,
                    std::uint16_t* to) {
  const index_t depth = round_up(dim, 32);
  for (index_t j = 0; j < count; j += 16) {
    std::uint16_t* const half = to + j / 32 * depth * 32 + j % 32 * 2;
    for (index_t d = 0; d < depth; d += 32) {
      Register words[16];  // a key's sixteen pairs, then a pair's sixteen keys
      for (index_t r = 0; r < 16; ++r) {
        const float* const key = from + (j + r) * row + d;
        const index_t there = j + r < count ? dim - d : 0;
        words[r] = (Register)_mm512_cvtne2ps_pbh(
            _mm512_sub_ps(some(key + 16, there - 16), _mm512_load_ps(center + d + 16)),
            _mm512_sub_ps(some(key, there), _mm512_load_ps(center + d)));
      }
      transpose(words);
      for (index_t pair = 0; pair < 16; ++pair) {
        _mm512_storeu_si512(half + (d / 2 + pair) * 64, _mm512_castps_si512(words[pair]));
      }
    }
    if (j % 32 == 0 && j + 16 >= count) {  // the panel has another half
      for (index_t pair = 0; pair < depth / 2; ++pair) {
        _mm512_storeu_si512(half + 32 + pair * 64, _mm512_setzero_si512());
      }
    }
  }
}

bool pack_value_pairs(index_t count, index_t dim, const float* from, index_t row,
                      std::uint16_t* to) {
  alignas(64) std::uint16_t order[32];  // interleaves a vector's halves
  for (int i = 0; i < 16; ++i) {
    order[2 * i] = static_cast<std::uint16_t>(i);
    order[2 * i + 1] = static_cast<std::uint16_t>(16 + i);
  }
  const __m512i interleave = _mm512_load_si512(order);
  bool all_finite = true;
  for (index_t j = 0; j < round_up(count, 32); j += 2) {
    const float* const first = from + j * row;
    for (index_t d = 0; d < round_up(dim, 32); d += 16) {
      const __m512 even = some(first + d, j < count ? dim - d : 0);
      const __m512 odd = some(first + row + d, j + 1 < count ? dim - d : 0);
      const auto pairs = (__m512i)_mm512_cvtne2ps_pbh(odd, even);
      all_finite = all_finite && finite(pairs);
      _mm512_storeu_si512(to + d / 32 * attention_block_keys * 32 + j / 2 * 64 + d % 32 * 2,
                          _mm512_permutexvar_epi16(interleave, pairs));
    }
  }
  return all_finite;
}

}  // namespace attn::kernels::ATTN_ISA_NS

#endif
