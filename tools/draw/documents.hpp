#pragma once

#include "tools/draw/draw.hpp"

#include <string>

namespace attn::tools {

/// The picture as JSON, as write_heatmap describes it. Labels keep their characters; bytes that are
/// no valid UTF-8 become U+FFFD. Errors as write_heatmap's.
std::string json_document(const AttentionPicture& picture);

/// The picture as one page: page.html with the numbers put in. Errors as write_heatmap's.
std::string html_document(const AttentionPicture& picture);

}  // namespace attn::tools
