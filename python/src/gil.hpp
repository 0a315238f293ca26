#pragma once

// The GIL, let go and taken by threads that may outlive the interpreter: at its end CPython ends a
// daemon thread that asks for the GIL (pthread_exit(), until 3.13), whose unwinding would end the
// process in the first destructor on its way. Such a thread sleeps for good instead.

#include <cxxabi.h>
#include <nanobind/nanobind.h>

namespace attn::python {

[[noreturn]] void sleep_for_good() noexcept;

/// Calls with the GIL what may run Python code, and so may let the GIL go and ask for it. Nothing
/// with a destructor is made in `body` but its result: on the way out it would run without the GIL.
template <class Body>
auto python_code(Body&& body) {
  try {
    return body();
  } catch (const abi::__forced_unwind&) {
    sleep_for_good();
  }
}

/// Without the GIL for as long as it lives. Made with it.
class Released {
 public:
  Released();
  ~Released();
  Released(const Released&) = delete;
  Released& operator=(const Released&) = delete;

 private:
  PyThreadState* state_;
};

/// With the GIL for as long as it lives.
class Acquired {
 public:
  Acquired();
  ~Acquired();
  Acquired(const Acquired&) = delete;
  Acquired& operator=(const Acquired&) = delete;

 private:
  PyGILState_STATE state_{};
};

}  // namespace attn::python
