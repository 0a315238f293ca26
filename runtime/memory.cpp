#include "runtime/memory.hpp"

#include "attn/error.hpp"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

namespace attn::runtime {
namespace {

[[noreturn]] void no_memory(const char* needed_for, std::size_t bytes) {
  throw Error(ErrorKind::memory,
              "no memory for " + std::string(needed_for) + ": " + std::to_string(bytes) + " bytes");
}

std::size_t rounded(std::size_t bytes, std::size_t alignment, const char* needed_for) {
  std::size_t more = 0;
  if (__builtin_add_overflow(bytes, alignment - 1, &more)) no_memory(needed_for, bytes);
  return more / alignment * alignment;
}

}  // namespace

Memory::Memory(std::size_t bytes, std::size_t alignment, std::shared_ptr<const Allocator> allocator,
               const char* needed_for)
    : bytes_(rounded(bytes, alignment, needed_for)),
      alignment_(alignment),
      allocator_(std::move(allocator)) {
  if (bytes_ == 0) return;
  begin_ = allocator_ ? allocator_->allocate(bytes_, alignment_)
                      : std::aligned_alloc(alignment_, bytes_);
  if (begin_ == nullptr) no_memory(needed_for, bytes_);
  data_ = static_cast<std::byte*>(begin_);
}

Memory Memory::zeros(std::size_t bytes, std::size_t alignment,
                     std::shared_ptr<const Allocator> allocator, const char* needed_for) {
  if (allocator) {
    Memory memory(bytes, alignment, std::move(allocator), needed_for);
    if (memory.bytes_ > 0) std::memset(memory.data_, 0, memory.bytes_);
    return memory;
  }
  Memory memory;
  memory.bytes_ = rounded(bytes, alignment, needed_for);
  memory.alignment_ = alignment;
  if (memory.bytes_ == 0) return memory;
  // calloc knows which pages are fresh, and aligned_alloc does not
  memory.begin_ = std::calloc(memory.bytes_ / alignment + 1, alignment);
  if (memory.begin_ == nullptr) no_memory(needed_for, memory.bytes_);
  const auto past = reinterpret_cast<std::uintptr_t>(memory.begin_) % alignment;
  memory.data_ = static_cast<std::byte*>(memory.begin_) + (alignment - past) % alignment;
  return memory;
}

Memory::~Memory() {
  if (begin_ == nullptr) return;
  if (allocator_) {
    allocator_->release(begin_, bytes_, alignment_);
  } else {
    std::free(begin_);
  }
}

void Memory::swap(Memory& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(begin_, other.begin_);
  std::swap(bytes_, other.bytes_);
  std::swap(alignment_, other.alignment_);
  std::swap(allocator_, other.allocator_);
}

}  // namespace attn::runtime
