#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace attn::models {

/// Looks for texts that end an answer in what streams by, and holds back what may be the beginning
/// of one.
class StopStrings {
 public:
  explicit StopStrings(std::vector<std::string> texts) : texts_(std::move(texts)) {}

  /// What of the text so far may be shown now. After a hit, what stood before it, and then nothing.
  std::string feed(std::string_view text);
  [[nodiscard]] bool hit() const noexcept { return hit_; }
  /// What was held back.
  std::string finish();

 private:
  std::vector<std::string> texts_;
  std::string held_;
  bool hit_ = false;
};

}  // namespace attn::models
