#include "python/src/gil.hpp"

#include <chrono>
#include <thread>

namespace attn::python {

void sleep_for_good() noexcept {
  for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
}

Released::Released() : state_(PyEval_SaveThread()) {}

Released::~Released() {
  try {
    PyEval_RestoreThread(state_);
  } catch (...) {
    sleep_for_good();
  }
}

Acquired::Acquired() {
  try {
    state_ = PyGILState_Ensure();
  } catch (...) {
    sleep_for_good();
  }
}

Acquired::~Acquired() { PyGILState_Release(state_); }

}  // namespace attn::python
