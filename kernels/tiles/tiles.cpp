#include "kernels/tiles/tiles.hpp"

#include "kernels/quant/blocks.hpp"

#include <algorithm>
#include <cstring>

namespace attn::kernels {
namespace {

using Word = std::uint32_t;

Word load_word(const std::uint8_t* p) {
  Word word = 0;
  std::memcpy(&word, p, sizeof word);
  return word;
}

// Four words in a vector of the compiler's own, which every x86-64 has.
using Words [[gnu::vector_size(16)]] = Word;

Words load_words(const std::uint8_t* p) {
  Words words = {};
  std::memcpy(&words, p, sizeof words);
  return words;
}

// The rows of a band; those that W does not have are rows of zeros, which every format decodes to 0
// but q8_0 (written as q + 128).
struct Band {
  const std::uint8_t* row[tile_rows];
};

// A tile that grows from its beginning.
class Writer {
 public:
  explicit Writer(std::uint8_t* to) : to_(to) {}
  // 16 numbers of `bytes` bytes, one a row
  void lane(int row, const void* from, int bytes) { std::memcpy(to_ + row * bytes, from, bytes); }
  void word(int line, int row, Word word) {
    std::memcpy(to_ + line * 64 + row * 4, &word, sizeof word);
  }
  // word i of words(row) goes to line i: 4 × 4 words change places at a time, a store each
  template <class Of>
  void four_lines(const Band& band, Of words) {
    for (int r = 0; r < tile_rows; r += 4) {
      const Words a = words(band.row[r]), b = words(band.row[r + 1]);
      const Words c = words(band.row[r + 2]), d = words(band.row[r + 3]);
      const Words ab = __builtin_shufflevector(a, b, 0, 4, 1, 5);
      const Words cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
      const Words ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
      const Words cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
      store(0, r, __builtin_shufflevector(ab, cd, 0, 1, 4, 5));
      store(1, r, __builtin_shufflevector(ab, cd, 2, 3, 6, 7));
      store(2, r, __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5));
      store(3, r, __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7));
    }
    advance(4 * 64);
  }
  void advance(int bytes) { to_ += bytes; }

 private:
  void store(int line, int row, Words words) {
    std::memcpy(to_ + line * 64 + row * 4, &words, sizeof words);
  }

  std::uint8_t* to_;
};

// Bit 4 g + j becomes bit g of byte j.
Word spread_bits(Word bits) {
  Word spread = 0;
  for (int j = 0; j < 4; ++j) {
    for (int g = 0; g < 8; ++g) spread |= (bits >> (4 * g + j) & 1U) << (8 * j + g);
  }
  return spread;
}

constexpr Word low_nibbles = 0x0f0f0f0fU, high_nibbles = 0xf0f0f0f0U;

// Formats of 32 weights in four or five bits.
void write_block32(const Band& band, bool minimum, bool fifth, std::uint8_t* to) {
  Writer out(to);
  const int scales = minimum ? 4 : 2;
  for (int part = 0; part < scales; part += 2) {
    for (int r = 0; r < tile_rows; ++r) out.lane(r, band.row[r] + part, 2);
    out.advance(2 * tile_rows);
  }
  if (fifth) {
    for (int r = 0; r < tile_rows; ++r) {
      out.word(0, r, spread_bits(load_word(band.row[r] + scales)));
    }
    out.advance(64);
  }
  const int nibbles = scales + (fifth ? 4 : 0);
  out.four_lines(band, [&](const std::uint8_t* row) { return load_words(row + nibbles); });
}

void write_q8(const Band& band, std::uint8_t* to) {
  Writer out(to);
  for (int r = 0; r < tile_rows; ++r) out.lane(r, band.row[r], 2);
  out.advance(2 * tile_rows);
  for (int half = 0; half < 2; ++half) {
    out.four_lines(band, [&](const std::uint8_t* row) {
      return load_words(row + 2 + 16 * half) ^ 0x80808080U;
    });
  }
}

// Of 32 bytes the low or the high nibbles, those of the second 16 above those of the first.
Words nibbles_of(const std::uint8_t* q, bool high) {
  const Words first = load_words(q), second = load_words(q + 16);
  return high ? (first >> 4 & low_nibbles) | (second & high_nibbles)
              : (first & low_nibbles) | (second & low_nibbles) << 4;
}

// q4_k and q5_k.
void write_k(const Band& band, bool fifth, std::uint8_t* to) {
  Writer out(to);
  for (int part = 0; part < 4; part += 2) {
    for (int r = 0; r < tile_rows; ++r) out.lane(r, band.row[r] + part, 2);
    out.advance(2 * tile_rows);
  }
  const int low = fifth ? 48 : 16;
  for (int s = 0; s < 8; ++s) {
    for (int r = 0; r < tile_rows; ++r) {
      const ScaleMin both = scale_min(band.row[r] + 4, s);
      const auto scale = static_cast<std::uint8_t>(both.scale);
      const auto min = static_cast<std::uint8_t>(both.min);
      std::memcpy(to + 64 + s * (fifth ? 352 : 288) + r, &scale, 1);
      std::memcpy(to + 64 + s * (fifth ? 352 : 288) + tile_rows + r, &min, 1);
    }
    out.advance(2 * tile_rows);
    if (fifth) {
      for (int r = 0; r < tile_rows; ++r) {
        const std::uint8_t* const high = band.row[r] + 16;
        Word bits = 0;
        for (int g = 0; g < 8; ++g) bits |= (load_word(high + 4 * g) >> s & 0x01010101U) << g;
        out.word(0, r, bits);
      }
      out.advance(64);
    }
    out.four_lines(band, [&](const std::uint8_t* row) {
      return nibbles_of(row + low + s / 2 * 32, s % 2 != 0);
    });
  }
}

void write_q6_k(const Band& band, std::uint8_t* to) {
  Writer out(to);
  for (int r = 0; r < tile_rows; ++r) out.lane(r, band.row[r] + 208, 2);
  out.advance(2 * tile_rows);
  for (int s = 0; s < 8; ++s) {
    const int half = s / 4, quarter = s % 4;
    for (int part = 0; part < 2; ++part) {
      for (int r = 0; r < tile_rows; ++r) {
        out.lane(r, band.row[r] + 192 + 2 * s + part, 1);
      }
      out.advance(tile_rows);
    }
    for (int r = 0; r < tile_rows; ++r) {
      const std::uint8_t* const high = band.row[r] + 128 + 32 * half;
      for (int line = 0; line < 2; ++line) {
        Word bits = 0;
        for (int g = 0; g < 4; ++g) {
          bits |= (load_word(high + 16 * line + 4 * g) >> (2 * quarter) & 0x03030303U) << (2 * g);
        }
        out.word(line, r, bits);
      }
    }
    out.advance(128);
    out.four_lines(band, [&](const std::uint8_t* row) {
      return nibbles_of(row + 64 * half + 32 * (quarter % 2), quarter >= 2);
    });
  }
}

void write_halves(WeightType type, const void* weights, index_t n, index_t k, index_t band,
                  std::uint8_t* to) {
  std::memset(to, 0, static_cast<std::size_t>(tile_band_bytes(type, k)));
  const index_t first = band * tile_rows, rows = std::min(tile_rows, n - first);
  for (index_t r = 0; r < rows; ++r) {
    for (index_t c = 0; c < k; ++c) {
      std::uint8_t* const at = to + (c / 2 * tile_rows + r) * 4 + c % 2 * 2;
      const index_t from = (first + r) * k + c;
      if (type == WeightType::f32) {
        float number = 0;  // of any alignment in a file
        std::memcpy(&number, static_cast<const std::uint8_t*>(weights) + 4 * from, sizeof number);
        quantize(WeightType::bf16, 1, &number, at);
      } else {
        std::memcpy(at, static_cast<const std::uint8_t*>(weights) + 2 * from, 2);
      }
    }
  }
}

}  // namespace

bool tileable(WeightType type, bool to_bf16) noexcept { return type != WeightType::f32 || to_bf16; }

index_t tile_band_bytes(WeightType type, index_t k) noexcept {
  const index_t tiles = (k + tile_columns - 1) / tile_columns, blocks = k / 256;
  switch (type) {
    case WeightType::f32:
    case WeightType::f16:
    case WeightType::bf16: return tiles * 1024;
    case WeightType::q8_0: return tiles * (32 + 512);
    case WeightType::q4_0: return tiles * (32 + 256);
    case WeightType::q4_1: return tiles * (64 + 256);
    case WeightType::q5_0: return tiles * (32 + 64 + 256);
    case WeightType::q5_1: return tiles * (64 + 64 + 256);
    case WeightType::q4_k: return blocks * (64 + 8 * (32 + 256));
    case WeightType::q5_k: return blocks * (64 + 8 * (32 + 64 + 256));
    case WeightType::q6_k: return blocks * (32 + 8 * (32 + 128 + 256));
  }
  return 0;
}

void write_tiles(WeightType type, index_t n, index_t k, const void* weights, index_t band,
                 void* to) {
  // as long as the longest block: rows that are not there begin at its start for every block
  static constexpr std::uint8_t zeros[256] = {};
  auto* out = static_cast<std::uint8_t*>(to);
  const index_t step = block_weights(type);
  if (step == 1) return write_halves(type, weights, n, k, band, out);
  const index_t bytes = row_bytes(type, k), blocks = k / step;
  const index_t block_size = tile_band_bytes(type, step);
  for (index_t b = 0; b < blocks; ++b, out += block_size) {
    Band rows;
    for (index_t r = 0; r < tile_rows; ++r) {
      const index_t row = band * tile_rows + r;
      rows.row[r] =
          row < n ? static_cast<const std::uint8_t*>(weights) + row * bytes + b * block_bytes(type)
                  : zeros;
    }
    switch (type) {
      case WeightType::q8_0: write_q8(rows, out); break;
      case WeightType::q4_0: write_block32(rows, false, false, out); break;
      case WeightType::q4_1: write_block32(rows, true, false, out); break;
      case WeightType::q5_0: write_block32(rows, false, true, out); break;
      case WeightType::q5_1: write_block32(rows, true, true, out); break;
      case WeightType::q4_k: write_k(rows, false, out); break;
      case WeightType::q5_k: write_k(rows, true, out); break;
      case WeightType::q6_k: write_q6_k(rows, out); break;
      default: return;
    }
  }
}

}  // namespace attn::kernels
