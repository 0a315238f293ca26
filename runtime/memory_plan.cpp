#include "runtime/memory_plan.hpp"

#include "attn/error.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

namespace attn::runtime {
namespace {

bool alive_together(const MemoryBlock& a, const MemoryBlock& b) {
  return a.first <= b.last && b.first <= a.last;
}

}  // namespace

std::size_t plan_memory(std::span<MemoryBlock> blocks) {
  std::size_t sum = 0;
  for (MemoryBlock& block : blocks) {
    constexpr std::size_t limit = std::numeric_limits<std::size_t>::max() / 2;
    if (block.bytes > limit - memory_alignment || sum > limit - block.bytes - memory_alignment) {
      throw Error(ErrorKind::memory, "memory plan: the sizes do not fit an address space");
    }
    block.bytes = (block.bytes + memory_alignment - 1) / memory_alignment * memory_alignment;
    sum += block.bytes;
  }
  std::vector<std::size_t> by_size(blocks.size());
  std::iota(by_size.begin(), by_size.end(), std::size_t{0});
  std::stable_sort(by_size.begin(), by_size.end(),
                   [&](std::size_t a, std::size_t b) { return blocks[a].bytes > blocks[b].bytes; });

  std::vector<const MemoryBlock*> placed;  // by offset
  std::size_t total = 0;
  for (const std::size_t index : by_size) {
    MemoryBlock& block = blocks[index];
    std::size_t best = 0, best_gap = std::numeric_limits<std::size_t>::max(), end = 0;
    for (const MemoryBlock* other : placed) {
      if (!alive_together(block, *other)) continue;
      if (other->offset >= end) {
        const std::size_t gap = other->offset - end;
        if (gap >= block.bytes && gap < best_gap) {
          best = end;
          best_gap = gap;
        }
      }
      end = std::max(end, other->offset + other->bytes);
    }
    block.offset = best_gap == std::numeric_limits<std::size_t>::max() ? end : best;
    total = std::max(total, block.offset + block.bytes);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), &block,
                                   [](const MemoryBlock* a, const MemoryBlock* b) {
                                     return a->offset < b->offset;
                                   }),
                  &block);
  }
  return total;
}

}  // namespace attn::runtime
