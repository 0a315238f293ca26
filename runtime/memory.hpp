#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace attn::runtime {

/// Where large memory comes from, if not from the system. Called from any thread that runs a model,
/// several at the same time where several do.
struct Allocator {
  /// At least `bytes`, which are a multiple of `alignment`, a power of two; null: there are none.
  std::function<void*(std::size_t bytes, std::size_t alignment)> allocate;
  /// Takes back what allocate() gave, with what it was asked for. May not throw.
  std::function<void(void* data, std::size_t bytes, std::size_t alignment)> release;
};

/// Memory that is given back to where it came from.
class Memory {
 public:
  Memory() = default;

  /// `bytes`, rounded up to a multiple of `alignment`; none for 0. An allocator of null is the
  /// system. Throws Error(memory), which says what it was `needed_for`.
  Memory(std::size_t bytes, std::size_t alignment, std::shared_ptr<const Allocator> allocator,
         const char* needed_for);

  /// The same, all zeros. The system's pages cost nothing before they are written; an allocator's
  /// are written here.
  static Memory zeros(std::size_t bytes, std::size_t alignment,
                      std::shared_ptr<const Allocator> allocator, const char* needed_for);

  Memory(Memory&& other) noexcept { swap(other); }
  Memory& operator=(Memory&& other) noexcept {
    swap(other);
    return *this;
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory();

  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

 private:
  void swap(Memory& other) noexcept;

  std::byte* data_ = nullptr;
  void* begin_ = nullptr;  ///< what is given back
  std::size_t bytes_ = 0, alignment_ = 0;
  std::shared_ptr<const Allocator> allocator_;
};

}  // namespace attn::runtime
