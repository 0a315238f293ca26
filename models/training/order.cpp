#include "models/training/order.hpp"

#include "models/random.hpp"

#include <algorithm>
#include <numeric>

namespace attn::models {

std::vector<std::size_t> epoch_order(std::size_t count, std::uint64_t seed, std::int64_t epoch) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  // an odd constant (2⁶⁴ over the golden ratio) keeps seeds and epochs that are neighbours apart
  constexpr std::uint64_t apart = 0x9E3779B97F4A7C15U;
  Random random(seed ^ (static_cast<std::uint64_t>(epoch + 1) * apart));
  for (std::size_t i = count; i > 1; --i) {
    const auto j = static_cast<std::size_t>(random.uniform() * static_cast<double>(i));
    std::swap(order[i - 1], order[std::min(j, i - 1)]);
  }
  return order;
}

std::vector<std::size_t> Order::examples_of(std::int64_t done) {
  const std::int64_t epoch = done / steps_per_epoch();
  if (epoch != epoch_) {
    if (shuffle_) {
      order_ = epoch_order(count_, seed_, epoch);
    } else if (order_.empty()) {
      order_.resize(count_);
      std::iota(order_.begin(), order_.end(), std::size_t{0});
    }
    epoch_ = epoch;
  }
  const std::size_t begin = static_cast<std::size_t>(done % steps_per_epoch()) * each_;
  const std::size_t end = std::min(count_, begin + each_);
  return {order_.begin() + static_cast<std::ptrdiff_t>(begin),
          order_.begin() + static_cast<std::ptrdiff_t>(end)};
}

}  // namespace attn::models
