#pragma once

namespace attn::test {

/// While it lives, requests for memory (malloc and its kin, new among them, and mmap) fail in the
/// whole process: the at-th from here on, or that one and all after it. One at a time.
class FailingMemory {
 public:
  FailingMemory(long at, bool for_good);
  FailingMemory(const FailingMemory&) = delete;
  FailingMemory& operator=(const FailingMemory&) = delete;
  ~FailingMemory();
};

/// While it lives, nothing fails: around what a test itself asks for.
class Spared {
 public:
  Spared();
  Spared(const Spared&) = delete;
  Spared& operator=(const Spared&) = delete;
  ~Spared();

 private:
  bool failing_;
};

/// Did the last one come to its failure?
[[nodiscard]] bool memory_failed();

/// Blocks and mappings that were asked for and not given back, in the whole process.
[[nodiscard]] long held_blocks();

}  // namespace attn::test
