#include "tools/tune/report.hpp"

#include "tools/common/json.hpp"
#include "tools/draw/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace attn::tools {
namespace {

constexpr float bar_columns = 40;  // of a weight of 1

std::string bar(float weight) {
  std::string text;
  for (long i = std::lround(weight * bar_columns); i > 0; --i) text += "█";
  return text;
}

}  // namespace

std::string pattern_text(const EpochReport& report, const WordWeights& words) {
  std::string out = fmt::format("Epoch: {}, Loss: {:.4f}\n", report.epoch, report.loss);
  int widest = 0;
  for (const std::string& token : words.tokens) {
    widest = std::max(widest, display_width(visible(token)));
  }
  for (std::size_t i = 0; i < words.tokens.size(); ++i) {
    const std::string token = visible(words.tokens[i]);
    const std::string padding(static_cast<std::size_t>(widest - display_width(token)), ' ');
    std::string line = fmt::format("  {} {}{}  {:.4f}  {}", words.is_size_word[i] ? '*' : ' ',
                                   token, padding, words.weights[i], bar(words.weights[i]));
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out + fmt::format("  Combined weight for size-related words (*): {:.4f}\n\n",
                           words.size_weight());
}

std::string json_text(const TrainResult& result) {
  JsonObject object;
  object.add("losses", json_list(result.losses));
  object.add("tokens", json_list(result.tokens));
  object.add("attention_weights_before", json_list(result.attention_weights_before));
  object.add("attention_weights_after", json_list(result.attention_weights_after));
  object.add("combined_size_weight", json_number(result.combined_size_weight));
  return object.text() + "\n";
}

History::History(const WordWeights& words) {
  for (std::size_t i = 0; i < words.tokens.size(); ++i) {
    plot_.series.push_back({words.tokens[i], {}, words.is_size_word[i]});
  }
}

void History::add(const EpochReport& report) {
  plot_.losses.push_back(report.loss);
  for (std::size_t i = 0; i < plot_.series.size(); ++i) {
    plot_.series[i].values.push_back(report.attention_weights[i]);
  }
}

TrainingPlot History::plot(const std::string& title) const {
  TrainingPlot plot = plot_;
  plot.title = title;
  return plot;
}

}  // namespace attn::tools
