#pragma once

#include "kernels/workers.hpp"
#include "runtime/memory.hpp"

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace attn::runtime {

/// Weights in the orders that kernels read fastest, made once for all sessions that share this. The
/// weights stand still for as long as it lives. Thread-safe.
class Packs {
 public:
  /// One weight in one order, filled when it is first used.
  class Pack {
   public:
    /// `read` bytes of a mapped file are no longer needed once it is filled; 0: not mapped.
    Pack(std::byte* data, const void* weights, std::size_t read)
        : data_(data), weights_(weights), read_(read) {}

    [[nodiscard]] std::byte* data() const noexcept { return data_; }  ///< 64-byte aligned

    /// Calls fill(data()) if nobody has yet, and waits for who is at it.
    template <class Fill>
    void ensure(Fill&& fill) {
      std::call_once(filled_, [&] {
        fill(data_);
        release(0, read_);
      });
    }

    /// While it is filled: the weights' bytes [from, to) have been read. Their pages leave the
    /// process if the weights are part of a mapped file.
    void release(std::size_t from, std::size_t to) const noexcept;

   private:
    std::byte* data_;
    const void* weights_;
    std::size_t read_;
    std::once_flag filled_;
  };

  /// An allocator of null is the system.
  explicit Packs(std::shared_ptr<const Allocator> allocator = nullptr);
  ~Packs();
  Packs(const Packs&) = delete;
  Packs& operator=(const Packs&) = delete;

  /// These bytes are part of a mapped file: once they are packed, their pages may leave the process
  /// (they come back from the file where somebody else reads them).
  void mapped(const void* weights, std::size_t bytes);

  /// The pack of `weights` in the order that `kind` stands for (an implementation of a kernel). It
  /// stands behind the one found before it, so that what a model reads one after the other is one
  /// stream, and lives as long as this. Throws Error(memory).
  [[nodiscard]] Pack& find(const void* weights, const void* kind, std::size_t bytes);

  /// What all of them take.
  [[nodiscard]] std::size_t bytes() const;

 private:
  class Slab;

  [[nodiscard]] std::byte* take(std::size_t bytes);

  std::shared_ptr<const Allocator> allocator_;
  mutable std::mutex mutex_;
  std::vector<Slab> slabs_;
  std::map<const void*, std::size_t> mapped_;
  std::map<std::pair<const void*, const void*>, std::unique_ptr<Pack>> packs_;
  std::size_t bytes_ = 0;
};

}  // namespace attn::runtime
