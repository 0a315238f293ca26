#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace attn::models {

/// Tokens by their text. Owns the texts, one after the other in one buffer.
class PieceIndex {
 public:
  /// Of equal texts the first counts.
  explicit PieceIndex(const std::vector<std::string>& texts);

  /// The token, or −1.
  [[nodiscard]] std::int32_t find(std::string_view text) const {
    const auto found = ids_.find(text);
    return found == ids_.end() ? -1 : found->second;
  }
  /// The longest text, in bytes.
  [[nodiscard]] std::size_t longest() const noexcept { return longest_; }

 private:
  std::string buffer_;
  std::unordered_map<std::string_view, std::int32_t> ids_;
  std::size_t longest_ = 0;
};

}  // namespace attn::models
