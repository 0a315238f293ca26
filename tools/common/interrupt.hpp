#pragma once

#include <string>

namespace attn::tools {

/// Thrown where a tool noticed that the user pressed Ctrl-C: exit code 130.
struct Interrupted {
  std::string message = "interrupted";
};

/// From now on Ctrl-C ends the process with exit code 130, at once, or where interrupts are held as
/// soon as the tool asks. Where SIGINT is ignored already (a background job of a script) it stays
/// so.
void catch_interrupts();

/// Has Ctrl-C been pressed while interrupts were held?
[[nodiscard]] bool interrupted() noexcept;

/// While one lives, Ctrl-C is remembered instead of ending the process, so that no file is left
/// half done. The second Ctrl-C ends it all the same.
class HoldInterrupts {
 public:
  HoldInterrupts() noexcept;
  HoldInterrupts(const HoldInterrupts&) = delete;
  HoldInterrupts& operator=(const HoldInterrupts&) = delete;
  ~HoldInterrupts();

  /// Throws Interrupted if Ctrl-C has been pressed.
  static void check();
};

}  // namespace attn::tools
