#include "models/text/stop.hpp"

#include <algorithm>
#include <utility>

namespace attn::models {

std::string StopStrings::feed(std::string_view text) {
  if (hit_) return "";
  held_ += text;
  std::size_t found = std::string::npos;
  for (const std::string& stop : texts_) found = std::min(found, held_.find(stop));
  if (found != std::string::npos) {
    hit_ = true;
    held_.resize(found);
    return std::exchange(held_, "");
  }
  // the longest end of the text that begins a stop string
  std::size_t open = 0;
  for (const std::string& stop : texts_) {
    for (std::size_t n = std::min(stop.size() - 1, held_.size()); n > open; --n) {
      if (held_.compare(held_.size() - n, n, stop, 0, n) == 0) open = n;
    }
  }
  std::string shown = held_.substr(0, held_.size() - open);
  held_.erase(0, shown.size());
  return shown;
}

std::string StopStrings::finish() { return std::exchange(held_, ""); }

}  // namespace attn::models
