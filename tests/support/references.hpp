#pragma once

#include "support/models.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>

namespace attn::test {

/// A file or folder of tests/data.
[[nodiscard]] std::filesystem::path data_path(const std::string& name);

[[nodiscard]] inline Json data_json(const std::string& name) {
  std::ifstream file(data_path(name));
  return Json::parse(file);
}

/// The largest difference of two rows of numbers of one length.
template <class A, class B>
[[nodiscard]] double largest_difference(const A& a, const B& b) {
  double largest = a.size() == b.size() ? 0 : INFINITY;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    const double difference = std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    largest = difference > largest || std::isnan(difference) ? difference : largest;
  }
  return largest;
}

}  // namespace attn::test
