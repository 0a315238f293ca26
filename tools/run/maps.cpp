#include "tools/run/maps.hpp"

#include "attn/error.hpp"
#include "tools/common/interrupt.hpp"
#include "tools/common/terminal.hpp"
#include "tools/draw/model_attention.hpp"

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
  ProgressBar progress("attention");
  const AttentionMaps maps =
      model_.attention(tokens, layers_, [&](std::int64_t done, std::int64_t total) {
        HoldInterrupts::check();
        if (progress.due()) progress.show(done, total, std::to_string(done) + " tokens");
      });
  ModelAttention picture;
  picture.title = std::filesystem::path(name).filename().string();
  for (const std::int32_t token : tokens) picture.tokens.push_back(model_.token_text(token));
  picture.layers = maps.layers;
  picture.heads = heads_;
  picture.causal = model_.text().generates;
  const std::size_t map = tokens.size() * tokens.size();
  if (static_cast<int>(heads_.size()) == maps.heads) {
    picture.weights = maps.weights;
  } else {
    for (std::size_t l = 0; l < maps.layers.size(); ++l) {
      for (const int head : heads_) {
        const std::size_t at =
            (l * static_cast<std::size_t>(maps.heads) + static_cast<std::size_t>(head)) * map;
        const auto from = maps.weights.begin() + static_cast<std::ptrdiff_t>(at);
        picture.weights.insert(picture.weights.end(), from,
                               from + static_cast<std::ptrdiff_t>(map));
      }
    }
  }
  write_model_attention(path_, picture);
  HoldInterrupts::check();
}

}  // namespace attn::tools
