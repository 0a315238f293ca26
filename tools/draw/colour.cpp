#include "tools/draw/colour.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <numbers>

namespace attn::tools {
namespace {

/// sRGB's transfer function, linear light to a byte; out-of-gamut light is clipped.
std::uint8_t byte_of(double linear) {
  const double x = std::clamp(linear, 0.0, 1.0);
  const double encoded = x <= 0.0031308 ? 12.92 * x : 1.055 * std::pow(x, 1 / 2.4) - 0.055;
  return static_cast<std::uint8_t>(std::lround(encoded * 255));
}

double linear_of(std::uint8_t byte) {
  const double x = byte / 255.0;
  return x <= 0.04045 ? x / 12.92 : std::pow((x + 0.055) / 1.055, 2.4);
}

/// Lightness, chroma and hue (in degrees) of OKLCH to sRGB, with Ottosson's matrices.
Rgb from_oklch(double lightness, double chroma, double hue) {
  const double angle = hue * std::numbers::pi / 180;
  const double a = chroma * std::cos(angle), b = chroma * std::sin(angle);
  const double l = std::pow(lightness + 0.3963377774 * a + 0.2158037573 * b, 3);
  const double m = std::pow(lightness - 0.1055613458 * a - 0.0638541728 * b, 3);
  const double s = std::pow(lightness - 0.0894841775 * a - 1.2914855480 * b, 3);
  return {byte_of(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
          byte_of(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
          byte_of(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s)};
}

constexpr int steps = 256;

std::array<Rgb, steps> make_colormap() {
  std::array<Rgb, steps> map;
  for (int i = 0; i < steps; ++i) {
    const double t = i / (steps - 1.0);
    // Lightness falls in a straight line. The hue turns from green (165°) to violet-blue (285°),
    // and the chroma swells in the middle, where sRGB has room for it: all of it stays within the
    // gamut.
    const double chroma = 0.012 + 0.078 * std::sin(std::numbers::pi * std::pow(t, 0.85)) + 0.05 * t;
    map[i] = from_oklch(0.965 - 0.675 * t, chroma, 165 + 120 * t);
  }
  return map;
}

}  // namespace

Rgb colormap(double t) {
  static const std::array<Rgb, steps> map = make_colormap();
  const double held = t > 0 ? std::min(t, 1.0) : 0.0;
  return map[static_cast<std::size_t>(std::lround(held * (steps - 1)))];
}

double luminance(Rgb c) {
  return 0.2126 * linear_of(c.r) + 0.7152 * linear_of(c.g) + 0.0722 * linear_of(c.b);
}

Rgb text_on(Rgb background) {
  // WCAG's ratio flips at 0.18, but overrates dark text on saturated blues; at 0.24 white keeps 3.6
  return luminance(background) > 0.24 ? Rgb{0x1B, 0x1F, 0x24} : Rgb{255, 255, 255};
}

std::string hex(Rgb c) {
  char text[8];
  std::snprintf(text, sizeof text, "#%02x%02x%02x", c.r, c.g, c.b);
  return text;
}

}  // namespace attn::tools
