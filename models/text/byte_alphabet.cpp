#include "models/text/tokenizer_spec.hpp"

#include <array>

namespace attn::models {
namespace {

// GPT-2's bytes_to_unicode: printable characters of Latin-1 stand for themselves, the other bytes
// for those from U+0100 on.
constexpr bool printable(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) ||
         (byte >= 0xAE && byte <= 0xFF);
}

struct Alphabet {
  std::array<std::uint32_t, 256> characters{};
  std::array<int, 0x144> bytes{};  // the characters that are used lie below U+0144
};

constexpr Alphabet make_alphabet() {
  Alphabet alphabet;
  alphabet.bytes.fill(-1);
  std::uint32_t next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const std::uint32_t character = printable(byte) ? byte : next++;
    alphabet.characters[byte] = character;
    alphabet.bytes[character] = static_cast<int>(byte);
  }
  return alphabet;
}

constexpr Alphabet alphabet = make_alphabet();

}  // namespace

std::uint32_t byte_character(unsigned char byte) noexcept { return alphabet.characters[byte]; }

int character_byte(std::uint32_t code) noexcept {
  return code < alphabet.bytes.size() ? alphabet.bytes[code] : -1;
}

}  // namespace attn::models
