#include "attn/error.hpp"
#include "attn/tune_data.hpp"
#include "models/model_impl.hpp"
#include "models/training/order.hpp"

#include <algorithm>
#include <cmath>

namespace attn {

namespace {

SplitExamples split(std::vector<TuneExample> examples, double share, std::uint64_t seed) {
  if (!(share > 0 && share < 1)) {
    throw Error(ErrorKind::usage,
                "a share to evaluate on: " + std::to_string(share) + " is not between 0 and 1");
  }
  const std::size_t count = examples.size();
  if (count < 2) {
    throw Error(ErrorKind::invalid,
                "a share to evaluate on: takes two examples at least, and there " +
                    std::string(count == 1 ? "is 1" : "are none"));
  }
  const auto wanted = static_cast<std::size_t>(std::llround(share * static_cast<double>(count)));
  const std::size_t held = std::clamp<std::size_t>(wanted, 1, count - 1);
  // epochs count from 0, so their orders are others
  const std::vector<std::size_t> order = models::epoch_order(count, seed, -1);
  std::vector<bool> is_held(count, false);
  for (std::size_t i = 0; i < held; ++i) is_held[order[i]] = true;
  SplitExamples parts;
  for (std::size_t i = 0; i < count; ++i) {
    (is_held[i] ? parts.held_out : parts.train).push_back(std::move(examples[i]));
  }
  return parts;
}

}  // namespace

SplitExamples split_held_out(std::vector<TuneExample> examples, double share, std::uint64_t seed) {
  return models::errors_of_ours([&] { return split(std::move(examples), share, seed); });
}

int longest_example(std::span<const TuneExample> examples) {
  std::size_t longest = 0;
  for (const TuneExample& example : examples) {
    longest = std::max({longest, example.tokens.size(), example.other.size()});
  }
  return static_cast<int>(longest);
}

}  // namespace attn
