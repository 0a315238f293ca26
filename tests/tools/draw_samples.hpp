#pragma once

#include "tests/support/files.hpp"
#include "tools/draw/draw.hpp"

#include <sstream>
#include <string>
#include <vector>

namespace attn::test {

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

inline std::size_t count(const std::string& text, const std::string& part) {
  std::size_t times = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++times;
  return times;
}

inline std::vector<std::string> words(const std::string& sentence) {
  std::istringstream in(sentence);
  return {std::istream_iterator<std::string>(in), {}};
}

inline std::vector<std::string> pink_elephant() {
  return words("The pink elephant tried to get into the car but it was too");
}

/// A picture with `maps` maps whose rows sum to one.
inline tools::AttentionPicture sample(std::vector<std::string> rows,
                                      std::vector<std::string> columns, int maps = 1) {
  tools::AttentionPicture picture{"Sample", std::move(rows), std::move(columns), {}};
  for (int m = 0; m < maps; ++m) {
    tools::AttentionPicture::Map map{"head " + std::to_string(m), {}};
    for (std::size_t r = 0; r < picture.rows.size(); ++r) {
      std::vector<float> row;
      float sum = 0;
      for (std::size_t c = 0; c < picture.columns.size(); ++c) {
        row.push_back(static_cast<float>(1 + (r * 7 + c * 5 + static_cast<std::size_t>(m)) % 11));
        sum += row.back();
      }
      for (const float weight : row) map.weights.push_back(weight / sum);
    }
    picture.maps.push_back(std::move(map));
  }
  return picture;
}

}  // namespace attn::test
