#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace attn::tools {

/// The code points of UTF-8; each byte that is no part of valid UTF-8 becomes U+FFFD.
std::vector<char32_t> code_points(std::string_view utf8);

std::string utf8(const std::vector<char32_t>& points);

/// A label as it can be drawn on one line: valid UTF-8, line feed and tab as arrows, other control
/// characters as U+FFFD, a label of blanks alone as open boxes.
std::string visible(std::string_view label);

/// Columns that a character takes on a terminal: 0 for combining marks, 2 for East Asian wide
/// characters and emoji, else 1.
int display_width(char32_t point);
int display_width(std::string_view utf8);

/// At most `columns` columns of the text, the last being "…" where something was cut off.
std::string fitted(std::string_view utf8, int columns);

/// Escaped for XML and HTML, in elements and in quoted attributes.
std::string escaped(std::string_view text);

}  // namespace attn::tools
