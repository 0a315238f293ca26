#include "support/models.hpp"

#include <fstream>

namespace attn::test {

const Json& seeds() {
  static const Json values = [] {
    std::ifstream file(ATTN_TEST_DATA "/seeds.json");
    return Json::parse(file);
  }();
  return values;
}

}  // namespace attn::test
