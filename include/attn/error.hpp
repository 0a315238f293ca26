#pragma once

#include "attn/export.h"

#include <stdexcept>
#include <string>

namespace attn {

/// What kind of thing went wrong. A tool's exit code follows from it (see exit_code).
enum class ErrorKind {
  usage,      ///< the caller asked for something that makes no sense
  invalid,    ///< a model, a file's content or data is not what it has to be
  io,         ///< the operating system refused to read or write
  memory,     ///< not enough memory, or more than a limit allows
  numerical,  ///< a NaN or infinity where a number was needed
  cancelled,  ///< another thread, or the user, asked for an end
};

/// The one exception type of the library. The message is a single line that names what is known of
/// file, field, offset, value and limit. Immutable after construction, so it may cross threads.
class ATTN_API Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}

  [[nodiscard]] ErrorKind kind() const noexcept { return kind_; }

  /// 2 wrong use, 3 invalid model or data, 4 I/O, 5 memory, 6 numerical failure, 130 cancelled.
  [[nodiscard]] int exit_code() const noexcept {
    switch (kind_) {
      case ErrorKind::usage: return 2;
      case ErrorKind::invalid: return 3;
      case ErrorKind::io: return 4;
      case ErrorKind::memory: return 5;
      case ErrorKind::numerical: return 6;
      case ErrorKind::cancelled: return 130;
    }
    return 3;
  }

 private:
  ErrorKind kind_;
};

}  // namespace attn
