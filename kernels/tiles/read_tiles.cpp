// The inverse of write_tiles, a row at a time.

#include "kernels/tiles/tiles.hpp"

#include <cstdint>
#include <cstring>

namespace attn::kernels {
namespace {

using Word = std::uint32_t;

constexpr Word low_nibbles = 0x0f0f0f0fU, high_nibbles = 0xf0f0f0f0U;

// A row of a block, as its tiles hold it: what stands at `lane` of a line belongs to it.
class Lane {
 public:
  Lane(const std::uint8_t* block, index_t lane) : block_(block), lane_(lane) {}
  // of 16 numbers of a byte, which begin at `from`
  [[nodiscard]] std::uint8_t byte(index_t from) const { return block_[from + lane_]; }
  // of 16 numbers of two
  void half(index_t from, std::uint8_t* to) const { std::memcpy(to, block_ + from + 2 * lane_, 2); }
  [[nodiscard]] Word word(index_t from) const {
    Word word = 0;
    std::memcpy(&word, block_ + from + 4 * lane_, sizeof word);
    return word;
  }

 private:
  const std::uint8_t* block_;
  index_t lane_;
};

void store(Word word, std::uint8_t* to) { std::memcpy(to, &word, sizeof word); }

// Bits that come to those of a word in memory.
void add(Word bits, std::uint8_t* to) {
  Word word = 0;
  std::memcpy(&word, to, sizeof word);
  store(word | bits, to);
}

// Bit g of byte j becomes bit 4 g + j.
Word collect_bits(Word spread) {
  Word bits = 0;
  for (int j = 0; j < 4; ++j) {
    for (int g = 0; g < 8; ++g) bits |= (spread >> (8 * j + g) & 1U) << (4 * g + j);
  }
  return bits;
}

// Formats of 32 weights in four or five bits.
void read_block32(const Lane& lane, bool minimum, bool fifth, std::uint8_t* to) {
  index_t from = 0;
  for (index_t part = 0; part < (minimum ? 2 : 1); ++part, from += 32, to += 2) lane.half(from, to);
  if (fifth) {
    store(collect_bits(lane.word(from)), to);
    from += 64;
    to += 4;
  }
  for (index_t i = 0; i < 4; ++i) store(lane.word(from + 64 * i), to + 4 * i);
}

void read_q8(const Lane& lane, std::uint8_t* to) {
  lane.half(0, to);
  for (index_t g = 0; g < 8; ++g) store(lane.word(32 + 64 * g) ^ 0x80808080U, to + 2 + 4 * g);
}

// q4_k and q5_k; `to` is zeros.
void read_k(const Lane& lane, bool fifth, std::uint8_t* to) {
  lane.half(0, to);
  lane.half(32, to + 2);
  const index_t tile = fifth ? 352 : 288;
  for (index_t j = 0; j < 4; ++j) {
    const index_t low = 64 + j * tile, high = low + 4 * tile;
    const unsigned scale = lane.byte(high), min = lane.byte(high + tile_rows);
    const unsigned first = lane.byte(low), first_min = lane.byte(low + tile_rows);
    to[4 + j] = static_cast<std::uint8_t>((first & 63U) | scale >> 4 << 6);
    to[8 + j] = static_cast<std::uint8_t>((first_min & 63U) | min >> 4 << 6);
    to[12 + j] = static_cast<std::uint8_t>((scale & 15U) | (min & 15U) << 4);
  }
  for (index_t s = 0; s < 8; ++s) {
    index_t from = 64 + s * tile + 2 * tile_rows;
    if (fifth) {
      const Word bits = lane.word(from);
      for (index_t g = 0; g < 8; ++g) add((bits >> g & 0x01010101U) << s, to + 16 + 4 * g);
      from += 64;
    }
    std::uint8_t* const q = to + (fifth ? 48 : 16) + s / 2 * 32;
    for (index_t i = 0; i < 4; ++i) {
      const Word word = lane.word(from + 64 * i);
      add(s % 2 == 0 ? word & low_nibbles : (word & low_nibbles) << 4, q + 4 * i);
      add(s % 2 == 0 ? word >> 4 & low_nibbles : word & high_nibbles, q + 16 + 4 * i);
    }
  }
}

// `to` is zeros.
void read_q6_k(const Lane& lane, std::uint8_t* to) {
  lane.half(0, to + 208);
  for (index_t s = 0; s < 8; ++s) {
    const index_t half = s / 4, quarter = s % 4;
    const index_t from = 32 + s * 416;
    for (index_t part = 0; part < 2; ++part) {
      to[192 + 2 * s + part] = lane.byte(from + part * tile_rows);
    }
    std::uint8_t* const high = to + 128 + 32 * half;
    for (index_t line = 0; line < 2; ++line) {
      const Word bits = lane.word(from + 32 + 64 * line);
      for (index_t g = 0; g < 4; ++g) {
        add((bits >> (2 * g) & 0x03030303U) << (2 * quarter), high + 16 * line + 4 * g);
      }
    }
    std::uint8_t* const q = to + 64 * half + 32 * (quarter % 2);
    for (index_t i = 0; i < 4; ++i) {
      const Word word = lane.word(from + 160 + 64 * i);
      add(quarter < 2 ? word & low_nibbles : (word & low_nibbles) << 4, q + 4 * i);
      add(quarter < 2 ? word >> 4 & low_nibbles : word & high_nibbles, q + 16 + 4 * i);
    }
  }
}

}  // namespace

void read_tiles(WeightType type, index_t k, const void* tiles, index_t row, void* to) {
  const auto* const band =
      static_cast<const std::uint8_t*>(tiles) + row / tile_rows * tile_band_bytes(type, k);
  auto* out = static_cast<std::uint8_t*>(to);
  const index_t lane = row % tile_rows, step = block_weights(type);
  if (step == 1) {
    for (index_t c = 0; c < k; ++c) {
      std::memcpy(out + 2 * c, band + (c / 2 * tile_rows + lane) * 4 + c % 2 * 2, 2);
    }
    return;
  }
  std::memset(out, 0, static_cast<std::size_t>(row_bytes(type, k)));
  const index_t block = tile_band_bytes(type, step);
  for (index_t b = 0; b < k / step; ++b, out += block_bytes(type)) {
    const Lane of(band + b * block, lane);
    switch (type) {
      case WeightType::q8_0: read_q8(of, out); break;
      case WeightType::q4_0: read_block32(of, false, false, out); break;
      case WeightType::q4_1: read_block32(of, true, false, out); break;
      case WeightType::q5_0: read_block32(of, false, true, out); break;
      case WeightType::q5_1: read_block32(of, true, true, out); break;
      case WeightType::q4_k: read_k(of, false, out); break;
      case WeightType::q5_k: read_k(of, true, out); break;
      case WeightType::q6_k: read_q6_k(of, out); break;
      default: return;
    }
  }
}

}  // namespace attn::kernels
