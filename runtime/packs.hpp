#pragma once

#include "kernels/workers.hpp"

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

namespace attn::runtime {

/// Weights in the orders that kernels read fastest, made once for all sessions that share this. The
/// weights stand still for as long as it lives. Thread-safe.
class Packs {
 public:
  /// One weight in one order, filled when it is first used.
  class Pack {
   public:
    Pack(const void* weights, std::size_t bytes, std::size_t read, bool releases);

    [[nodiscard]] std::byte* data() const noexcept { return data_; }  ///< 64-byte aligned

    /// Calls fill(data()) if nobody has yet, and waits for who is at it.
    template <class Fill>
    void ensure(Fill&& fill) {
      std::call_once(filled_, [&] {
        fill(data_);
        release();
      });
    }

   private:
    void release() const noexcept;

    std::unique_ptr<std::byte[]> memory_;
    std::byte* data_ = nullptr;
    const void* weights_;
    std::size_t read_;
    bool releases_;
    std::once_flag filled_;
  };

  /// These bytes are part of a mapped file: once they are packed, their pages may leave the process
  /// (they come back from the file where somebody else reads them).
  void mapped(const void* weights, std::size_t bytes);

  /// The pack of `weights` in the order that `kind` stands for (an implementation of a kernel).
  /// Throws Error(memory).
  [[nodiscard]] std::shared_ptr<Pack> find(const void* weights, const void* kind,
                                           std::size_t bytes);

  /// What all of them take.
  [[nodiscard]] std::size_t bytes() const;

 private:
  mutable std::mutex mutex_;
  std::map<const void*, std::size_t> mapped_;
  std::map<std::pair<const void*, const void*>, std::shared_ptr<Pack>> packs_;
  std::size_t bytes_ = 0;
};

}  // namespace attn::runtime
