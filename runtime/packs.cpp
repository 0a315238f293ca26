#include "runtime/packs.hpp"

#include "attn/error.hpp"

#include <cstdint>
#include <new>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace attn::runtime {
namespace {

constexpr std::uintptr_t alignment = 64;  // a cache line, and an AVX-512 register

std::uintptr_t round_up(std::uintptr_t address, std::uintptr_t to) {
  return (address + to - 1) / to * to;
}

}  // namespace

Packs::Pack::Pack(const void* weights, std::size_t bytes, std::size_t read, bool releases)
    : weights_(weights), read_(read), releases_(releases) {
  if (bytes == 0) return;
  memory_.reset(new (std::nothrow) std::byte[bytes + alignment]);
  if (!memory_) {
    throw Error(ErrorKind::memory,
                "no memory for packed weights: " + std::to_string(bytes) + " bytes");
  }
  const auto address = reinterpret_cast<std::uintptr_t>(memory_.get());
  data_ = memory_.get() + (round_up(address, alignment) - address);
}

// Whole pages that nothing but these weights stands in.
void Packs::Pack::release() const noexcept {
  if (!releases_) return;
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(weights_);
  const std::uintptr_t first = round_up(begin, page), end = (begin + read_) / page * page;
  if (first >= end) return;
  // NOLINTNEXTLINE(performance-no-int-to-ptr,cppcoreguidelines-pro-type-reinterpret-cast)
  (void)madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED);
}

void Packs::mapped(const void* weights, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  mapped_[weights] = bytes;
}

std::shared_ptr<Packs::Pack> Packs::find(const void* weights, const void* kind, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Pack>& pack = packs_[{weights, kind}];
  if (!pack) {
    const auto file = mapped_.find(weights);
    const bool releases = file != mapped_.end();
    pack = std::make_shared<Pack>(weights, bytes, releases ? file->second : 0, releases);
    bytes_ += bytes;
  }
  return pack;
}

std::size_t Packs::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace attn::runtime
