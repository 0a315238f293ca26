// Tiles as floats, or as pairs of bfloat16, in the panels that products of many rows read. A weight
// is scale · q + shift, rounded once, which for every format is what its definition rounds to but
// for the formats with a minimum, where the definition rounds the product first.

#include "kernels/tiles/read_simd.hpp"

namespace attn::kernels::ATTN_ISA_NS {
namespace {

template <int j>
inline vf byte_of(vb q) {
  const vb mask = all_words(0xff);
  if constexpr (j == 0) return to_floats(bits_and(q, mask));
  if constexpr (j == 3) return to_floats(right<24>(q));
  if constexpr (j == 1 || j == 2) return to_floats(bits_and(right<8 * j>(q), mask));
}

// Calls put(column, piece, w, w of the next column) for every second column of whole tiles.
template <class Put>
void decode(WeightType type, const uint8_t* band, index_t from, index_t count, Put&& put) {
  if (type == WeightType::bf16 || type == WeightType::f16) {
    for (index_t column = from; column < from + count; column += 2) {
      const uint8_t* const line = band + column / 2 * 64;
      for (int piece = 0; piece < pieces; ++piece) {
        vf even, odd;
        if (type == WeightType::f16) {
          TilesFloat<true>::read(line, piece, even, odd);
        } else {
          TilesFloat<false>::read(line, piece, even, odd);
        }
        put(column - from, piece, even, odd);
      }
    }
    return;
  }
  with_blocks(type, [&](auto format) {
    using Format = decltype(format);
    for (index_t column = 0; column < count; column += tile_columns) {
      const index_t tile = (from + column) / tile_columns;
      const uint8_t* const block = band + tile / Format::tiles * Format::bytes;
      for (int piece = 0; piece < pieces; ++piece) {
        Piece<Format::parts> w;
        Format::read(block, static_cast<int>(tile % Format::tiles), piece, w);
#pragma GCC unroll 8
        for (int g = 0; g < 8; ++g) {
          const int part = Format::parts == 2 ? g / 4 : 0;
          const vf scale = w.scale[part], shift = w.shift[part];
          put(column + 4 * g, piece, fused(byte_of<0>(w.q[g]), scale, shift),
              fused(byte_of<1>(w.q[g]), scale, shift));
          put(column + 4 * g + 2, piece, fused(byte_of<2>(w.q[g]), scale, shift),
              fused(byte_of<3>(w.q[g]), scale, shift));
        }
      }
    }
  });
}

}  // namespace

void decode_band(WeightType type, const unsigned char* band, index_t from, index_t count, float* to,
                 index_t stride) {
  decode(type, band, from, count, [&](index_t column, int piece, vf even, vf odd) {
    even.store_unaligned(to + column * stride + piece * lanes);
    odd.store_unaligned(to + (column + 1) * stride + piece * lanes);
  });
}

#if defined(ATTN_ISA_dot)
void decode_pairs(WeightType type, const unsigned char* band, index_t from, index_t count,
                  std::uint16_t* to, index_t stride) {
  if (type == WeightType::bf16) {
    for (index_t pair = 0; pair < count / 2; ++pair) {
      _mm512_storeu_si512(to + pair * stride, load_bytes(band + (from / 2 + pair) * 64));
    }
    return;
  }
  // the rounded evens stand below the odds; this interleaves them
  alignas(64) uint16_t order[32];
  for (int i = 0; i < 16; ++i) {
    order[2 * i] = static_cast<uint16_t>(i);
    order[2 * i + 1] = static_cast<uint16_t>(16 + i);
  }
  const __m512i interleave = _mm512_load_si512(order);
  decode(type, band, from, count, [&](index_t column, int /*piece*/, vf even, vf odd) {
    const __m512bh rounded = _mm512_cvtne2ps_pbh(odd, even);
    _mm512_storeu_si512(to + column / 2 * stride,
                        _mm512_permutexvar_epi16(interleave, (__m512i)rounded));
  });
}
#endif

}  // namespace attn::kernels::ATTN_ISA_NS
