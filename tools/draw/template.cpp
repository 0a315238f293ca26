#include "tools/draw/template.hpp"

namespace attn::tools {

std::string filled(std::string_view page, const std::map<std::string_view, std::string>& values) {
  std::string out;
  for (std::size_t at = 0; at < page.size();) {
    const std::size_t open = page.find("@{", at);
    out += page.substr(at, open - at);
    if (open == std::string_view::npos) break;
    const std::size_t close = page.find('}', open);
    out += values.at(page.substr(open + 2, close - open - 2));
    at = close + 1;
  }
  return out;
}

}  // namespace attn::tools
