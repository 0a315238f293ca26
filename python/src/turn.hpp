#pragma once

// Who may use a model, and when somebody asks for an end.

#include "attn/error.hpp"
#include "python/src/gil.hpp"

#include <atomic>
#include <chrono>
#include <mutex>
#include <nanobind/nanobind.h>
#include <thread>

namespace attn::python {

/// How long Ctrl-C may go unseen where the library can be interrupted: what a person takes for at
/// once, and long enough that taking the GIL for it costs nothing.
inline constexpr std::chrono::milliseconds patience{50};

/// Runs Python's signal handlers. Throws what they raise: KeyboardInterrupt, for Ctrl-C. Called
/// with the GIL; only the main thread has signals.
void check_signals();

/// Looks for signals from inside of a long call, every `patience`.
class Signals {
 public:
  /// Called without the GIL. Throws as check_signals().
  void check();

 private:
  std::chrono::steady_clock::time_point next_ = std::chrono::steady_clock::now() + patience;
};

/// The calls that several threads make on one model take turns.
class Turn {
 public:
  /// Taken and given back with the GIL; waits without it, and for as long as it takes.
  class Held {
   public:
    /// Throws Error(usage) if this thread has the turn already (in a signal handler or a callback
    /// inside of a call), what a signal's handler raises, or nothing.
    explicit Held(Turn& turn) : turn_(turn) { turn_.take(); }
    ~Held() { turn_.give(); }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;

   private:
    Turn& turn_;
  };

  /// Gives the turn back for as long as it lives, so that a callback may use the model.
  class Pause {
   public:
    explicit Pause(Turn& turn) : turn_(turn) { turn_.give(); }
    /// Waits without looking for signals: it cannot throw.
    ~Pause() { turn_.take_back(); }
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;

   private:
    Turn& turn_;
  };

 private:
  void take();
  void take_back();
  void give();

  std::timed_mutex mutex_;
  std::atomic<std::thread::id> owner_;
};

}  // namespace attn::python
