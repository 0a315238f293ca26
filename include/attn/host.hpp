#pragma once

// What an application that embeds attn may bring of its own: threads, memory, a place for messages,
// and a way to end what another thread has begun. All of it belongs to a model (see Options), and
// none of it to the process.

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>

namespace attn {

/// The host's threads in place of the library's own: calls task(context, index) once for each index
/// in [0, tasks), in any order, on any threads, several at a time or one after the other, and
/// returns when all calls have returned; their results are then seen by the caller. A model makes
/// one such call at a time, from the thread that uses it; models in several threads make them at
/// the same time. If it throws, none of the tasks runs any more; the library then does them itself.
/// Which thread takes which task changes no bit of a result.
using ParallelFor =
    std::function<void(int tasks, void (*task)(void* context, int index), void* context)>;

/// The host's memory for what is large: work space, inputs and results of a model, weights in the
/// order that products read (packed), key/value caches, and what tuning keeps (trained numbers,
/// moments, gradients). Not covered: weights of new models and adapters, which stand in vectors,
/// mapped files, tokenizers, graphs, strings, oneDNN's own memory, and what calls return by value.
/// Both functions or none; called from any thread that uses the model or one of its generators and
/// tuners. All is given back when these are destroyed.
struct Allocator {
  /// At least `bytes`, aligned; `alignment` is a power of two, up to 2 MiB, and divides `bytes`.
  /// Null: there is none, which becomes Error(memory).
  std::function<void*(std::size_t bytes, std::size_t alignment)> allocate = nullptr;
  /// Takes back what allocate() gave, with what it was asked for. May not throw.
  std::function<void(void* data, std::size_t bytes, std::size_t alignment)> release = nullptr;
};

enum class LogLevel {
  debug,    ///< what somebody looks for who asks where time and memory went
  info,     ///< opened, written, made ready
  warning,  ///< works, but not as well as it could
};

/// Takes one line, without a line feed, valid during the call. Called by the thread that uses the
/// model: by several at a time where several generators of one model run. What it throws ends the
/// call that it was told of.
using Log = std::function<void(LogLevel, std::string_view)>;

/// Ends from any thread what others have begun under it, between two ops of a forward pass (which
/// takes up to milliseconds for ops on many tokens): the call throws Error(cancelled), and so does
/// every later one until reset(). Training ends before an update or after it, never in it. Copies
/// are the same token, and the last of them frees it. Any number of threads may use one.
class CancelToken {
 public:
  CancelToken() : flag_(std::make_shared<std::atomic<bool>>(false)) {}

  void cancel() const noexcept { flag_->store(true, std::memory_order_relaxed); }
  void reset() const noexcept { flag_->store(false, std::memory_order_relaxed); }
  [[nodiscard]] bool cancelled() const noexcept { return flag_->load(std::memory_order_relaxed); }

  /// What the library looks at.
  [[nodiscard]] std::shared_ptr<const std::atomic<bool>> flag() const noexcept { return flag_; }

 private:
  std::shared_ptr<std::atomic<bool>> flag_;
};

}  // namespace attn
