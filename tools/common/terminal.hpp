#pragma once

#include <chrono>
#include <string>

namespace attn::tools {

/// What standard output can show.
struct Terminal {
  bool colour = false;  ///< a terminal, TERM is not "dumb", and NO_COLOR is not set
  int width = 80;       ///< columns: the terminal's, else the environment's COLUMNS, else 80
};

[[nodiscard]] Terminal standard_output_terminal();

/// `text` in bold on a terminal with colour, as it is elsewhere.
[[nodiscard]] std::string bold(const std::string& text, const Terminal& terminal);

/// Text for stderr: what is said beside the results. Nobody is told if it does not arrive.
void write_error_stream(const std::string& text);

/// A bar on stderr for work that takes more than a second, drawn at most ten times a second and
/// wiped out in the end; nothing where stderr is no terminal. One thread at a time.
class ProgressBar {
 public:
  explicit ProgressBar(std::string what);
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  ~ProgressBar() { clear(); }

  /// `done` of `total` steps; `note` stands behind the bar.
  void show(long long done, long long total, const std::string& note);
  /// Is it time for show()? Spares making the note.
  [[nodiscard]] bool due() const;
  /// Wipes the bar out: before something is printed.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  std::string what_;
  bool terminal_;
  bool drawn_ = false;
  Clock::time_point begin_ = Clock::now();
  Clock::time_point next_;
};

}  // namespace attn::tools
