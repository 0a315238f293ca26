#include "tools/run/maps.hpp"

#include "attn/error.hpp"
#include "tools/common/interrupt.hpp"
#include "tools/common/model_picture.hpp"

#include <filesystem>

namespace attn::tools {

MapsRequest::MapsRequest(const Arguments& arguments, Model& model)
    : path_(arguments.picture.value_or("")), model_(model) {
  const std::string chosen = given_of(
      {{"--layers", arguments.layers.has_value()}, {"--heads", arguments.heads.has_value()}});
  if (path_.empty() && !chosen.empty()) {
    throw Error(ErrorKind::usage, chosen + ": chooses what --attention draws");
  }
  const TextInfo& text = model.text();
  layers_ = number_list("--layers", arguments.layers, text.layers);
  heads_ = number_list("--heads", arguments.heads, text.heads);
}

void MapsRequest::draw(const std::vector<std::int32_t>& tokens, const std::string& name) const {
  const std::string title = std::filesystem::path(name).filename().string();
  write_model_attention(path_, model_picture(model_, tokens, layers_, heads_, title));
  HoldInterrupts::check();
}

}  // namespace attn::tools
