// Few rows against tiles, as in a decode step: the weights are one stream, read once, and from the
// cache again for every four or eight rows. Block formats meet activations of 16 bits in integer
// arithmetic, exactly; a lane's sum over the blocks is one fused multiply-add a part and one for
// the shift, in order along k, whatever the other rows are.

#include "kernels/tiles/read_simd.hpp"

namespace attn::kernels::ATTN_ISA_NS {
namespace {

// Bytes ahead of the read that are asked for: what a core streams from memory in the half
// microsecond that memory takes to answer. The stream crosses bands, so this reaches into the next.
constexpr index_t ahead = 8192;

// What is met once need not push anything out of L2.
inline void prefetch(const uint8_t* from, index_t bytes, bool once) {
  const auto* const at = reinterpret_cast<const char*>(from + ahead);
  if (once) {
    for (index_t i = 0; i < bytes; i += 64) _mm_prefetch(at + i, _MM_HINT_NTA);
  } else {
    for (index_t i = 0; i < bytes; i += 64) _mm_prefetch(at + i, _MM_HINT_T0);
  }
}

inline const int8_t* steps_of(const Rows16& a) {
#if defined(ATTN_ISA_dot)
  return a.halves;
#else
  return a.words;
#endif
}

// Σ q · x over four columns of each row, the groups [4 part', …) of a tile.
template <int first, int count>
[[gnu::always_inline]] inline vb dot(const vb (&q)[8], const int8_t* steps) {
#if defined(ATTN_ISA_dot)
  // one sum after the other: with both at once eight rows do not fit the registers
  const auto* const words = reinterpret_cast<const int*>(steps);
  vb sum = _mm512_setzero_si512();
#pragma GCC unroll 8
  for (int g = first; g < first + count; ++g) {
    sum = _mm512_dpbusd_epi32(sum, q[g], _mm512_set1_epi32(words[g]));
  }
  sum = left<8>(sum);
#pragma GCC unroll 8
  for (int g = first; g < first + count; ++g) {
    sum = _mm512_dpbusd_epi32(sum, q[g], _mm512_set1_epi32(words[8 + g]));
  }
  return sum;
#else
  const auto* const words = reinterpret_cast<const int*>(steps);
  const vb mask = all_words(0x00ff00ff);
  vb sum{};
#pragma GCC unroll 8
  for (int g = first; g < first + count; ++g) {
    const vb even = bits_and(q[g], mask);
#if defined(ATTN_ISA_avx512)
    const vb odd = _mm512_srli_epi16(q[g], 8);
    sum = _mm512_add_epi32(sum, _mm512_madd_epi16(even, _mm512_set1_epi32(words[2 * g])));
    sum = _mm512_add_epi32(sum, _mm512_madd_epi16(odd, _mm512_set1_epi32(words[2 * g + 1])));
#else
    const vb odd = _mm256_srli_epi16(q[g], 8);
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(even, _mm256_set1_epi32(words[2 * g])));
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(odd, _mm256_set1_epi32(words[2 * g + 1])));
#endif
  }
  return sum;
#endif
}

#if !defined(ATTN_ISA_avx512)
// For one row with half as many registers: columns from where they lie, rather than from eight
// vectors, most of which would be spilled. The sums are the same.

// Two pieces, so that each step of the row is spread out once for both. Nibbles are below 16 and
// halves within ±128, so that 16 bits hold a sum of sixteen products, which all of a lane are.
inline void dot_nibbles(const uint8_t* lines, const int8_t* halves, vb (&to)[2]) {
  const auto* const words = reinterpret_cast<const int*>(halves);
  const vb mask = all_words(0x0f0f0f0f);
  vb high[2]{}, low[2]{};
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    vb line[2] = {load_bytes(lines + 64 * i), load_bytes(lines + 64 * i + piece_bytes)};
#pragma GCC unroll 2
    for (int g = i; g < 8; g += 4) {
      const vb x_high = all_words(words[g]), x_low = all_words(words[8 + g]);
#pragma GCC unroll 2
      for (int piece = 0; piece < 2; ++piece) {
        const vb q = bits_and(line[piece], mask);
        high[piece] = _mm256_add_epi16(high[piece], _mm256_maddubs_epi16(q, x_high));
        low[piece] = _mm256_add_epi16(low[piece], _mm256_maddubs_epi16(q, x_low));
        line[piece] = _mm256_srli_epi16(line[piece], 4);
      }
    }
  }
#pragma GCC unroll 2
  for (int piece = 0; piece < 2; ++piece) {
    to[piece] = _mm256_add_epi32(_mm256_madd_epi16(high[piece], _mm256_set1_epi16(256)),
                                 _mm256_madd_epi16(low[piece], _mm256_set1_epi16(1)));
  }
}
inline vb add_products(vb sum, vb columns, const int* words) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(columns, _mm256_set1_epi32(*words)));
}
inline vb dot_bytes(const uint8_t* lines, int piece, const int8_t* steps) {
  const auto* const words = reinterpret_cast<const int*>(steps);
  vb low{}, high{};
#pragma GCC unroll 8
  for (int g = 0; g < 8; ++g) {
    const vb line = load_bytes(lines + 64 * g + piece * piece_bytes);
    low = add_products(low, bits_and(line, all_words(0x00ff00ff)), words + 2 * g);
    high = add_products(high, _mm256_srli_epi16(line, 8), words + 2 * g + 1);
  }
  return _mm256_add_epi32(low, high);
}
#endif

inline void store_lanes(float* to, vf v, index_t count) {
  if (count >= lanes) {
    v.store_unaligned(to);
  } else if (count > 0) {
    store_partial(to, count, v);
  }
}

// total += what a block's whole products stand for.
inline void add_block(vf& total, vb products, const Piece<1>& w, const Rows16& a, index_t at) {
  total = fused(to_floats(products), w.scale[0] * vf(a.scale[at]), total);
  total = fused(w.shift[0], vf(a.sums[2 * at] + a.sums[2 * at + 1]), total);
}

template <class Format, int rows>
void band_of(const TileProduct& p, index_t row, index_t band) {
  const index_t blocks = p.a16.blocks;
  constexpr index_t tile_bytes = Format::bytes / Format::tiles;
  const uint8_t* block = p.tiles + band * (blocks / Format::tiles) * Format::bytes;
  vf sum[pieces][rows];
#pragma GCC unroll 2
  for (auto& of_piece : sum) {
#pragma GCC unroll 8
    for (vf& of_row : of_piece) of_row = vf(0.0F);
  }
  for (index_t b = 0; b < blocks; block += Format::bytes) {
    for (int tile = 0; tile < Format::tiles; ++tile, ++b) {
      prefetch(block + tile * tile_bytes, tile_bytes, p.rows == rows);
      [[maybe_unused]] vb products[2];
#pragma GCC unroll 4
      for (int piece = 0; piece < pieces; ++piece) {
        Piece<Format::parts> w;
#if !defined(ATTN_ISA_avx512)
        if constexpr (rows == 1 && Format::kind != Lines::several) {
          const uint8_t* const lines = Format::lines(block, tile);
          const index_t at = row * blocks + b;
          if constexpr (Format::kind == Lines::bytes) {
            products[0] = dot_bytes(lines, piece, p.a16.words + at * Rows16::block_bytes);
          } else if (piece % 2 == 0) {
            dot_nibbles(lines + piece * piece_bytes, p.a16.halves + at * Rows16::block_bytes,
                        products);
          }
          Format::read_scales(block, tile, piece, w);
          const int which = Format::kind == Lines::nibbles ? piece % 2 : 0;
          add_block(sum[piece][0], products[which], w, p.a16, at);
          continue;
        }
#endif
        Format::read(block, tile, piece, w);
#pragma GCC unroll 8
        for (int r = 0; r < rows; ++r) {
          const index_t at = (row + r) * blocks + b;
          const int8_t* const steps = steps_of(p.a16) + at * Rows16::block_bytes;
          vf& total = sum[piece][r];
          if constexpr (Format::parts == 1) {
            add_block(total, dot<0, 8>(w.q, steps), w, p.a16, at);
          } else {
            const vf scale(p.a16.scale[at]);
            const float* const sums = p.a16.sums + 2 * at;
            total = fused(to_floats(dot<0, 4>(w.q, steps)), w.scale[0] * scale, total);
            total = fused(w.shift[0], vf(sums[0]), total);
            total = fused(to_floats(dot<4, 4>(w.q, steps)), w.scale[1] * scale, total);
            total = fused(w.shift[1], vf(sums[1]), total);
          }
        }
      }
    }
  }
  for (int piece = 0; piece < pieces; ++piece) {
    const index_t column = band * tile_rows + piece * lanes;
    for (int r = 0; r < rows; ++r) {
      store_lanes(p.c + (row + r) * p.c_row + column, sum[piece][r], p.columns - column);
    }
  }
}

// bf16 and f16 weights meet floats; the sums of four columns in turn are four chains, which hides
// what a sum takes.
template <bool half, int rows>
void float_band(const TileProduct& p, index_t row, index_t band) {
  using Format = TilesFloat<half>;
  const index_t tiles = (p.k + tile_columns - 1) / tile_columns;
  for (int piece = 0; piece < pieces; ++piece) {
    const uint8_t* line = p.tiles + band * tiles * Format::bytes;
    const float* a = p.a + row * p.a_row;
    vf sum[rows][4];
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 4
      for (auto& chain : sum[r]) chain = vf(0.0F);
    }
    for (index_t k = 0; k < tiles * tile_columns; k += 4, a += 4, line += 128) {
      if (piece == 0) prefetch(line, 128, false);
      vf w[4];
      Format::read(line, piece, w[0], w[1]);
      Format::read(line + 64, piece, w[2], w[3]);
#pragma GCC unroll 4
      for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) sum[r][i] = fused(w[i], vf(a[r * p.a_row + i]), sum[r][i]);
      }
    }
    const index_t column = band * tile_rows + piece * lanes;
    for (int r = 0; r < rows; ++r) {
      store_lanes(p.c + (row + r) * p.c_row + column,
                  (sum[r][0] + sum[r][1]) + (sum[r][2] + sum[r][3]), p.columns - column);
    }
  }
}

// As many rows together as leave the sums in registers; the next ones find the band in the cache.
template <int most, class Rows>
void in_turns(const TileProduct& p, Rows&& run) {
  for (index_t band = 0; band < p.bands; ++band) {
    index_t row = 0;
    for (; row + most <= p.rows; row += most) run.template operator()<most>(row, band);
    for (; row + 4 <= p.rows; row += 4) run.template operator()<4>(row, band);
    switch (p.rows - row) {
      case 1: run.template operator()<1>(row, band); break;
      case 2: run.template operator()<2>(row, band); break;
      case 3: run.template operator()<3>(row, band); break;
      default: break;
    }
  }
}

#if defined(ATTN_ISA_dot)
constexpr int most_rows = 8;
#else
constexpr int most_rows = 4;
#endif

}  // namespace

void multiply_tiles(const TileProduct& p) {
  if (p.type == WeightType::bf16) {
    return in_turns<4>(
        p, [&]<int rows>(index_t row, index_t band) { float_band<false, rows>(p, row, band); });
  }
  if (p.type == WeightType::f16) {
    return in_turns<4>(
        p, [&]<int rows>(index_t row, index_t band) { float_band<true, rows>(p, row, band); });
  }
  with_blocks(p.type, [&](auto format) {
    in_turns<most_rows>(p, [&]<int rows>(index_t row, index_t band) {
      band_of<decltype(format), rows>(p, row, band);
    });
  });
}

void quantize_row(const float* x, index_t k, const Rows16& to, index_t row) {
  constexpr float largest = 32512;  // 127 · 256: the high half of all that rounds to it fits a byte
  for (index_t b = 0; b < to.blocks; ++b) {
    alignas(64) float block[32];
    const index_t count = k - b * 32 < 32 ? k - b * 32 : 32;
    for (index_t i = 0; i < 32; ++i) block[i] = i < count ? x[b * 32 + i] : 0.0F;
    uint32_t extreme = 0;  // of the magnitudes' bits, which are ordered as the magnitudes are
    for (const float value : block) {
      uint32_t bits = 0;
      __builtin_memcpy(&bits, &value, sizeof bits);
      bits &= 0x7fffffffU;
      extreme = bits > extreme ? bits : extreme;
    }
    float most = 0;
    __builtin_memcpy(&most, &extreme, sizeof most);
    const index_t at = row * to.blocks + b;
    // a block of what is next to 0 would divide by a subnormal: its inverse is infinite
    const bool finite = extreme < 0x7f800000U, tiny = most < 1e-30F;
    const float scale = most / largest, inverse = finite && !tiny ? largest / most : 0.0F;
    to.scale[at] = finite ? (tiny ? 0.0F : scale) : __builtin_nanf("");
    alignas(64) int32_t q[32];
    for (int i = 0; i < 32; ++i) {
      // adding 1.5 · 2²³ leaves the nearest whole number, ties to even, in the low bits
      const float shifted = (finite ? block[i] : 0.0F) * inverse + 12582912.0F;
      int32_t bits = 0;
      __builtin_memcpy(&bits, &shifted, sizeof bits);
      q[i] = bits - 0x4b400000;
    }
    int32_t sums[2] = {0, 0};
    for (int i = 0; i < 16; ++i) sums[0] += q[i], sums[1] += q[i + 16];
    to.sums[2 * at] = static_cast<float>(sums[0]) * to.scale[at];
    to.sums[2 * at + 1] = static_cast<float>(sums[1]) * to.scale[at];
    int8_t* const halves = to.halves + at * Rows16::block_bytes;
    for (int i = 0; i < 32; ++i) {
      const int high = (q[i] + 128) >> 8;
      halves[i] = static_cast<int8_t>(high);
      halves[32 + i] = static_cast<int8_t>(q[i] - high * 256);
    }
#if !defined(ATTN_ISA_dot)
    int16_t pairs[32];
    for (int i = 0; i < 32; i += 4) {
      pairs[i] = static_cast<int16_t>(q[i]);
      pairs[i + 1] = static_cast<int16_t>(q[i + 2]);
      pairs[i + 2] = static_cast<int16_t>(q[i + 1]);
      pairs[i + 3] = static_cast<int16_t>(q[i + 3]);
    }
    __builtin_memcpy(to.words + at * Rows16::block_bytes, pairs, sizeof pairs);
#endif
  }
}

}  // namespace attn::kernels::ATTN_ISA_NS
