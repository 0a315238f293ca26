#include "python/src/turn.hpp"

namespace attn::python {

void check_signals() {
  if (PyErr_CheckSignals() != 0) throw nanobind::python_error();
}

void Signals::check() {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + patience;
  const Acquired acquire;
  check_signals();
}

void Turn::take() {
  const std::thread::id me = std::this_thread::get_id();
  if (owner_.load() == me) {
    throw Error(ErrorKind::usage, "this thread is inside of another call on the same model");
  }
  bool mine = mutex_.try_lock();
  while (!mine) {
    {
      const Released release;
      mine = mutex_.try_lock_for(patience);
    }
    if (!mine) check_signals();
  }
  owner_.store(me);
}

void Turn::take_back() {
  const Released release;
  mutex_.lock();
  owner_.store(std::this_thread::get_id());
}

void Turn::give() {
  owner_.store(std::thread::id());
  mutex_.unlock();
}

}  // namespace attn::python
