#include "support/models.hpp"
#include "support/references.hpp"

#include <fstream>

namespace attn::test {

std::filesystem::path data_path(const std::string& name) {
  return std::filesystem::path(ATTN_TEST_DATA) / name;
}

const Json& seeds() {
  static const Json values = [] {
    std::ifstream file(ATTN_TEST_DATA "/seeds.json");
    return Json::parse(file);
  }();
  return values;
}

}  // namespace attn::test
