#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace attn::test {

/// A header's length as the container begins with it.
inline std::string length_prefix(std::uint64_t length) {
  std::string prefix;
  for (unsigned shift = 0; shift < 64; shift += 8) prefix += static_cast<char>(length >> shift);
  return prefix;
}

/// A safetensors container put together by hand, valid or not.
inline std::string container(std::string_view header, std::string_view data = "") {
  return length_prefix(header.size()) + std::string(header) + std::string(data);
}

}  // namespace attn::test
