#include "tools/common/interrupt.hpp"

#include "tools/common/exit_codes.hpp"

#include <atomic>
#include <csignal>
#include <unistd.h>

namespace attn::tools {
namespace {

// What a signal handler may touch: lock-free atomics, and nothing else. It is given no argument, so
// they are global.
// NOLINTBEGIN(cppcoreguidelines-avoid-non-const-global-variables)
std::atomic<int> holds{0};
std::atomic<bool> pressed{false};
// NOLINTEND(cppcoreguidelines-avoid-non-const-global-variables)
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

void on_interrupt(int /*signal*/) {
  if (holds.load() == 0 || pressed.exchange(true)) ::_exit(exit_interrupted);
}

}  // namespace

void catch_interrupts() {
  struct sigaction now {};
  if (::sigaction(SIGINT, nullptr, &now) == 0 && now.sa_handler == SIG_IGN) return;
  struct sigaction action {};
  action.sa_handler =
      on_interrupt;  // without SA_RESTART: a write to a full pipe returns and notices
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
}

bool interrupted() noexcept { return pressed.load(); }

HoldInterrupts::HoldInterrupts() noexcept { ++holds; }
HoldInterrupts::~HoldInterrupts() { --holds; }

void HoldInterrupts::check() {
  if (interrupted()) throw Interrupted{};
}

}  // namespace attn::tools
