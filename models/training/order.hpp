#pragma once

#include "attn/tune.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace attn::models {

/// The numbers 0..count−1 in the order of an epoch: shuffled, by Fisher and Yates, from seed and
/// epoch alone, so that it does not matter where a run was taken up again.
[[nodiscard]] std::vector<std::size_t> epoch_order(std::size_t count, std::uint64_t seed,
                                                   std::int64_t epoch);

/// Examples that an update has at least: two where the others are each one's wrong answers.
[[nodiscard]] constexpr std::size_t fewest_examples(const TuneOptions& tune) noexcept {
  return tune.task == TuneTask::similarity && !tune.scored ? 2 : 1;
}

/// Which examples an update takes.
class Order {
 public:
  /// `count` examples, `each` of them an update (both above 0); an epoch's last update takes what
  /// is left of it, if that are at least `least`. `count` is not below that either.
  Order(std::size_t count, std::size_t each, bool shuffle, std::uint64_t seed,
        std::size_t least = 1)
      : count_(count), each_(each), least_(least), shuffle_(shuffle), seed_(seed) {}

  [[nodiscard]] std::int64_t steps_per_epoch() const noexcept {
    return static_cast<std::int64_t>(count_ / each_ + (count_ % each_ >= least_ ? 1U : 0U));
  }

  /// Of the update after `done` of them.
  [[nodiscard]] std::vector<std::size_t> examples_of(std::int64_t done);

 private:
  std::size_t count_, each_, least_;
  bool shuffle_;
  std::uint64_t seed_;
  std::int64_t epoch_ = -1;  // whose order this is
  std::vector<std::size_t> order_;
};

}  // namespace attn::models
