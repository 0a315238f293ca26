#include "tools/common/adapters.hpp"

#include "attn/error.hpp"

#include <charconv>
#include <cmath>

namespace attn::tools {

std::vector<Adapter> adapter_list(const std::vector<std::string>& texts) {
  std::vector<Adapter> adapters;
  for (const std::string& text : texts) {
    Adapter& adapter = adapters.emplace_back();
    const std::size_t colon = text.rfind(':');
    std::error_code error;
    if (colon == std::string::npos || std::filesystem::exists(text, error)) {
      adapter.folder = text;
      continue;
    }
    const char *const begin = text.data() + colon + 1, *const end = text.data() + text.size();
    const auto [stop, problem] = std::from_chars(begin, end, adapter.scale);
    if (problem != std::errc{} || stop != end || !std::isfinite(adapter.scale)) {
      throw Error(ErrorKind::usage, "--lora " + text +
                                        ": no folder of that name, and what follows the colon is "
                                        "no finite number");
    }
    adapter.folder = text.substr(0, colon);
  }
  return adapters;
}

}  // namespace attn::tools
