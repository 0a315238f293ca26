#include "runtime/packs.hpp"

#include <algorithm>
#include <cstdint>
#include <sys/mman.h>
#include <unistd.h>

namespace attn::runtime {
namespace {

constexpr std::size_t alignment = 64;  // a cache line, and an AVX-512 register

// Packs share slabs of whole huge pages: products that stream weights from memory spend less on
// address translation (docs/performance.md). What is not written of a slab costs nothing. Slabs
// grow with what there is, so that a toy model takes no huge page.
constexpr std::size_t huge_page = std::size_t{2} << 20, largest_slab = 16 * huge_page;

constexpr std::uintptr_t round_up(std::uintptr_t address, std::uintptr_t to) {
  return (address + to - 1) / to * to;
}

}  // namespace

class Packs::Slab {
 public:
  Slab(std::size_t bytes, std::shared_ptr<const Allocator> allocator) {
    const std::size_t page = bytes < huge_page ? alignment : huge_page;
    const bool system = allocator == nullptr;  // an allocator knows itself what its pages are
    memory_ = Memory(bytes, page, std::move(allocator), "packed weights");
    if (system && page == huge_page) {
      (void)madvise(memory_.data(), memory_.bytes(), MADV_HUGEPAGE);
    }
  }

  // Null if it is too full.
  std::byte* take(std::size_t bytes) {
    if (bytes > memory_.bytes() - used_) return nullptr;
    std::byte* const at = memory_.data() + used_;
    used_ += std::min(memory_.bytes() - used_, round_up(bytes, alignment));
    return at;
  }

 private:
  Memory memory_;
  std::size_t used_ = 0;
};

Packs::Packs(std::shared_ptr<const Allocator> allocator) : allocator_(std::move(allocator)) {}
Packs::~Packs() = default;

std::byte* Packs::take(std::size_t bytes) {
  if (!slabs_.empty()) {
    if (std::byte* const at = slabs_.back().take(bytes)) return at;
  }
  const std::size_t slab = std::max(bytes, std::min(2 * bytes_, largest_slab));
  return slabs_.emplace_back(slab, allocator_).take(bytes);
}

// Whole pages that nothing but these weights stands in.
void Packs::Pack::release(std::size_t from, std::size_t to) const noexcept {
  if (read_ == 0) return;
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(weights_);
  const std::uintptr_t first = round_up(begin + from, page);
  const std::uintptr_t end = (begin + std::min(to, read_)) / page * page;
  if (first >= end) return;
  // NOLINTNEXTLINE(performance-no-int-to-ptr,cppcoreguidelines-pro-type-reinterpret-cast)
  (void)madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED);
}

void Packs::mapped(const void* weights, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  mapped_[weights] = bytes;
}

Packs::Pack& Packs::find(const void* weights, const void* kind, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<Pack>& pack = packs_[{weights, kind}];
  if (!pack) {
    const auto file = mapped_.find(weights);
    pack = std::make_unique<Pack>(take(bytes), weights, file == mapped_.end() ? 0 : file->second);
    bytes_ += bytes;
  }
  return *pack;
}

std::size_t Packs::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace attn::runtime
