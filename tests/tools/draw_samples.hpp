#pragma once

#include "tools/draw/draw.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <unistd.h>
#include <vector>

namespace attn::test {

/// A folder of its own for one test, gone with it.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "attn-draw-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  [[nodiscard]] std::string file(const std::string& name) const { return path_ / name; }
  [[nodiscard]] std::size_t entries() const {
    const std::filesystem::directory_iterator all(path_);
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
  }

 private:
  std::filesystem::path path_;
};

inline std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

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
