#pragma once

#include <cstdint>
#include <string>

namespace attn::tools {

struct Rgb {
  std::uint8_t r = 0, g = 0, b = 0;
  bool operator==(const Rgb&) const = default;
};

/// The sequential colour map: near white at 0, through green-blue, to dark violet-blue at 1. Evenly
/// spaced in OKLab lightness (Ottosson 2020), so equal steps look equal, and a grey copy keeps
/// their order. t is held within 0..1.
Rgb colormap(double t);

/// Relative luminance in 0..1 as WCAG 2 defines it.
double luminance(Rgb colour);

/// Dark or white, whichever is the easier to read on `background`.
Rgb text_on(Rgb background);

/// "#rrggbb"
std::string hex(Rgb colour);

/// What a cell without a number is painted with.
inline constexpr Rgb no_number{0xD9, 0xD4, 0xCC};

}  // namespace attn::tools
