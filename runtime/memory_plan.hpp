#pragma once

#include <cstddef>
#include <span>

namespace attn::runtime {

/// A stretch of memory that is needed from step `first` to step `last`, both included.
struct MemoryBlock {
  std::size_t bytes = 0;
  int first = 0, last = 0;
  std::size_t offset = 0;  ///< where plan_memory put it: a multiple of memory_alignment
};

/// A cache line and an AVX-512 register.
inline constexpr std::size_t memory_alignment = 64;

/// Places the blocks in one arena so that no two that live at the same step overlap, the largest
/// first, each into the tightest gap (Pisarchyk & Lee 2020, "Efficient memory management for deep
/// neural net inference"). Returns the arena's size. Throws Error(memory) if a sum of sizes does
/// not fit size_t.
std::size_t plan_memory(std::span<MemoryBlock> blocks);

}  // namespace attn::runtime
