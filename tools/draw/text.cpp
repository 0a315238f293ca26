#include "tools/draw/text.hpp"

#include <algorithm>
#include <iterator>

namespace attn::tools {
namespace {

constexpr char32_t replacement = 0xFFFD;

struct Range {
  char32_t first, last;
};

// Zero width: combining marks of the scripts that DejaVu or a usual terminal font covers, joiners
// and variation selectors.
constexpr Range zero_width[] = {
    {0x0300, 0x036F}, {0x0483, 0x0489}, {0x0591, 0x05BD}, {0x0610, 0x061A}, {0x064B, 0x065F},
    {0x0900, 0x0902}, {0x093C, 0x093C}, {0x0941, 0x0948}, {0x094D, 0x094D}, {0x0E31, 0x0E31},
    {0x0E34, 0x0E3A}, {0x0E47, 0x0E4E}, {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF}, {0x200B, 0x200F},
    {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}, {0xFEFF, 0xFEFF}, {0xE0100, 0xE01EF}};

// Two columns: Hangul, CJK, fullwidth forms and emoji (Unicode's East Asian Width W and F).
constexpr Range double_width[] = {{0x1100, 0x115F},   {0x2E80, 0x303E},   {0x3041, 0x33FF},
                                  {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xA000, 0xA4CF},
                                  {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},   {0xFE30, 0xFE4F},
                                  {0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},   {0x1F300, 0x1F64F},
                                  {0x1F680, 0x1F6FF}, {0x1F900, 0x1FAFF}, {0x20000, 0x3FFFD}};

template <std::size_t N>
bool within(char32_t point, const Range (&ranges)[N]) {
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [point](Range r) { return point >= r.first && point <= r.last; });
}

/// The code point that starts at `at`, which moves behind it; behind one byte where it is not
/// valid.
char32_t decode(std::string_view text, std::size_t& at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(at);
  const int more = lead < 0x80 ? 0 : lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
  const bool bad_lead = (lead >= 0x80 && lead < 0xC2) || lead > 0xF4;
  if (bad_lead || at + static_cast<std::size_t>(more) >= text.size()) {
    ++at;
    return replacement;
  }
  char32_t point = more == 0 ? lead : lead & (0x3Fu >> more);
  for (int i = 1; i <= more; ++i) {
    const unsigned char next = byte(at + static_cast<std::size_t>(i));
    if ((next & 0xC0) != 0x80) {
      ++at;
      return replacement;
    }
    point = (point << 6) | (next & 0x3Fu);
  }
  constexpr char32_t smallest[] = {0, 0x80, 0x800, 0x10000};
  if (point < smallest[more] || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000)) {
    ++at;
    return replacement;
  }
  at += static_cast<std::size_t>(more) + 1;
  return point;
}

}  // namespace

std::vector<char32_t> code_points(std::string_view text) {
  std::vector<char32_t> points;
  for (std::size_t at = 0; at < text.size();) points.push_back(decode(text, at));
  return points;
}

std::string utf8(const std::vector<char32_t>& points) {
  std::string text;
  const auto put = [&](char32_t byte) { text += static_cast<char>(byte); };
  for (const char32_t p : points) {
    if (p < 0x80) {
      put(p);
    } else if (p < 0x800) {
      put(0xC0 | (p >> 6));
      put(0x80 | (p & 0x3F));
    } else if (p < 0x10000) {
      put(0xE0 | (p >> 12));
      put(0x80 | ((p >> 6) & 0x3F));
      put(0x80 | (p & 0x3F));
    } else {
      put(0xF0 | (p >> 18));
      put(0x80 | ((p >> 12) & 0x3F));
      put(0x80 | ((p >> 6) & 0x3F));
      put(0x80 | (p & 0x3F));
    }
  }
  return text;
}

std::string visible(std::string_view label) {
  std::vector<char32_t> points = code_points(label);
  const bool blank = std::all_of(points.begin(), points.end(), [](char32_t p) { return p == ' '; });
  for (char32_t& p : points) {
    if (p == '\n') {
      p = U'↵';
    } else if (p == '\t') {
      p = U'⇥';
    } else if (p < 0x20 || (p >= 0x7F && p < 0xA0) || p == 0xFFFE || p == 0xFFFF) {
      p = replacement;
    } else if (blank) {
      p = U'␣';
    }
  }
  return utf8(points);
}

int display_width(char32_t point) {
  if (within(point, zero_width)) return 0;
  return within(point, double_width) ? 2 : 1;
}

int display_width(std::string_view text) {
  int width = 0;
  for (const char32_t p : code_points(text)) width += display_width(p);
  return width;
}

std::string fitted(std::string_view text, int columns) {
  if (display_width(text) <= columns) return std::string(text);
  std::vector<char32_t> kept;
  int width = 0;
  for (const char32_t p : code_points(text)) {
    width += display_width(p);
    if (width > columns - 1) break;
    kept.push_back(p);
  }
  if (columns > 0) kept.push_back(U'…');
  return utf8(kept);
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  }
  return out;
}

}  // namespace attn::tools
