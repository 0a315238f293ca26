// The C library's functions for memory, in front of its own: whatever the program and its libraries
// ask for comes by here. glibc's malloc stays reachable under the names that begin with __libc.

#include "faults/failing_memory.hpp"

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

// NOLINTBEGIN(bugprone-reserved-identifier): glibc's
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);
}
// NOLINTEND(bugprone-reserved-identifier)

namespace {

std::atomic<bool> armed{false}, stays{false}, came{false};
std::atomic<long> left{0}, held{0};

bool refused() {
  if (!armed) return false;
  const long now = --left;
  if (now > 0 || (now < 0 && !stays)) return false;
  came = true;
  errno = ENOMEM;
  return true;
}

void* counted(void* memory) {
  if (memory != nullptr) ++held;
  return memory;
}

}  // namespace

namespace attn::test {

FailingMemory::FailingMemory(long at, bool for_good) {
  left = at;
  stays = for_good;
  came = false;
  armed = true;
}
FailingMemory::~FailingMemory() { armed = false; }

Spared::Spared() : failing_(armed.exchange(false)) {}
Spared::~Spared() { armed = failing_; }

bool memory_failed() { return came; }
long held_blocks() { return held; }

}  // namespace attn::test

extern "C" {

void* malloc(std::size_t bytes) { return refused() ? nullptr : counted(__libc_malloc(bytes)); }

void* calloc(std::size_t count, std::size_t bytes) {
  return refused() ? nullptr : counted(__libc_calloc(count, bytes));
}

void* realloc(void* memory, std::size_t bytes) {
  if (memory == nullptr) return malloc(bytes);
  if (bytes > 0 && refused()) return nullptr;
  void* const moved = __libc_realloc(memory, bytes);
  if (bytes == 0) --held;
  return moved;
}

void* memalign(std::size_t alignment, std::size_t bytes) {
  return refused() ? nullptr : counted(__libc_memalign(alignment, bytes));
}

void* aligned_alloc(std::size_t alignment, std::size_t bytes) { return memalign(alignment, bytes); }

int posix_memalign(void** memory, std::size_t alignment, std::size_t bytes) {
  *memory = memalign(alignment, bytes);
  return *memory == nullptr ? ENOMEM : 0;
}

void free(void* memory) {
  if (memory != nullptr) --held;
  __libc_free(memory);
}

void* mmap(void* address, std::size_t bytes, int protection, int flags, int file, off_t offset) {
  if (refused()) return MAP_FAILED;
  // NOLINTNEXTLINE(performance-no-int-to-ptr): what the system gives
  return counted(
      reinterpret_cast<void*>(syscall(SYS_mmap, address, bytes, protection, flags, file, offset)));
}

int munmap(void* address, std::size_t bytes) {
  --held;
  return static_cast<int>(syscall(SYS_munmap, address, bytes));
}
}
