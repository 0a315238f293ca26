#pragma once

#include "attn/attn.hpp"
#include "tools/common/words.hpp"
#include "tools/draw/draw.hpp"

#include <string>

namespace attn::tools {

/// "Epoch: 0, Loss: 0.9956", then every word's weight as number and bar, size words marked, and
/// what these have together.
[[nodiscard]] std::string pattern_text(const EpochReport& report, const WordWeights& words);

/// {"losses", "tokens", "attention_weights_before", "attention_weights_after",
/// "combined_size_weight"}
[[nodiscard]] std::string json_text(const TrainResult& result);

/// What --plot draws, gathered epoch by epoch.
class History {
 public:
  explicit History(const WordWeights& words);
  void add(const EpochReport& report);
  [[nodiscard]] TrainingPlot plot(const std::string& title) const;

 private:
  TrainingPlot plot_;
};

}  // namespace attn::tools
