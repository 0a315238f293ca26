#pragma once

#include "tools/run/modes.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace attn::tools {

/// What --attention, --layers and --heads ask for, checked before the work begins: Error(usage).
class MapsRequest {
 public:
  MapsRequest(const Arguments& arguments, Model& model);

  /// Runs the tokens once more with the attention of the layers handed out, and draws it.
  void draw(const std::vector<std::int32_t>& tokens, const std::string& name) const;

 private:
  std::string path_;
  std::vector<int> layers_, heads_;
  Model& model_;
};

}  // namespace attn::tools
