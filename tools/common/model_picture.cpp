#include "tools/common/model_picture.hpp"

#include "tools/common/interrupt.hpp"
#include "tools/common/terminal.hpp"

namespace attn::tools {

ModelAttention model_picture(Model& model, const std::vector<std::int32_t>& tokens,
                             std::span<const int> layers, std::span<const int> heads,
                             const std::string& title) {
  ProgressBar progress("attention");
  AttentionMaps maps = model.attention(tokens, layers, [&](std::int64_t done, std::int64_t total) {
    HoldInterrupts::check();
    if (progress.due()) progress.show(done, total, std::to_string(done) + " tokens");
  });
  ModelAttention picture;
  picture.title = title;
  for (const std::int32_t token : tokens) picture.tokens.push_back(model.token_text(token));
  picture.layers = maps.layers;
  picture.heads.assign(heads.begin(), heads.end());
  picture.causal = model.text().generates;
  const std::size_t map = tokens.size() * tokens.size();
  if (static_cast<int>(heads.size()) == maps.heads) {
    picture.weights = std::move(maps.weights);
    return picture;
  }
  for (std::size_t l = 0; l < maps.layers.size(); ++l) {
    for (const int head : heads) {
      const std::size_t at =
          (l * static_cast<std::size_t>(maps.heads) + static_cast<std::size_t>(head)) * map;
      const auto from = maps.weights.begin() + static_cast<std::ptrdiff_t>(at);
      picture.weights.insert(picture.weights.end(), from, from + static_cast<std::ptrdiff_t>(map));
    }
  }
  return picture;
}

}  // namespace attn::tools
