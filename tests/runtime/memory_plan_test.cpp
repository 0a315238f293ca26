#include "runtime/memory_plan.hpp"

#include "attn/error.hpp"

#include <catch2/catch.hpp>

#include <limits>
#include <random>
#include <vector>

using namespace attn::runtime;

namespace {

bool overlap(const MemoryBlock& a, const MemoryBlock& b) {
  const bool in_time = a.first <= b.last && b.first <= a.last;
  const bool in_space = a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
  return in_time && in_space;
}

// The most that is alive at one step: no plan can be smaller.
std::size_t lower_bound(const std::vector<MemoryBlock>& blocks, int steps) {
  std::size_t most = 0;
  for (int step = 0; step < steps; ++step) {
    std::size_t alive = 0;
    for (const MemoryBlock& block : blocks) {
      if (block.first <= step && step <= block.last) alive += block.bytes;
    }
    most = std::max(most, alive);
  }
  return most;
}

}  // namespace

TEST_CASE("no two blocks that live together overlap, whatever the lifetimes", "[memory_plan]") {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    const int steps = 1 + static_cast<int>(random() % 40);
    std::vector<MemoryBlock> blocks(random() % 60);
    std::size_t sum = 0;
    for (MemoryBlock& block : blocks) {
      block.bytes = 1 + random() % 5000;
      block.first = static_cast<int>(random()) % steps;
      if (block.first < 0) block.first += steps;
      block.last =
          block.first + static_cast<int>(random() % static_cast<unsigned>(steps - block.first));
    }
    const std::size_t total = plan_memory(blocks);
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      sum += blocks[i].bytes;
      REQUIRE(blocks[i].offset % memory_alignment == 0);
      REQUIRE(blocks[i].offset + blocks[i].bytes <= total);
      for (std::size_t j = 0; j < i; ++j) REQUIRE_FALSE(overlap(blocks[i], blocks[j]));
    }
    REQUIRE(total >= lower_bound(blocks, steps));
    REQUIRE(total <= sum);
  }
}

TEST_CASE("a chain needs two of its tensors at a time", "[memory_plan]") {
  std::vector<MemoryBlock> blocks;
  for (int i = 0; i < 10; ++i) blocks.push_back({1024, i, i + 1, 0});
  REQUIRE(plan_memory(blocks) == 2048);
}

TEST_CASE("sizes that do not fit an address space are an error of memory", "[memory_plan]") {
  std::vector<MemoryBlock> blocks{{std::numeric_limits<std::size_t>::max() / 2 - 100, 0, 1, 0},
                                  {std::numeric_limits<std::size_t>::max() / 2 - 100, 0, 1, 0}};
  try {
    plan_memory(blocks);
    FAIL("accepted");
  } catch (const attn::Error& error) {
    REQUIRE(error.kind() == attn::ErrorKind::memory);
  }
}
