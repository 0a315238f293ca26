#include "tools/common/terminal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string_view>
#include <sys/ioctl.h>
#include <unistd.h>

namespace attn::tools {
namespace {

constexpr int least_width = 20, most_width = 1000, usual_width = 80;

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view{} : value;
}

int columns(int file) {
  struct winsize size {};
  if (::ioctl(file, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  const std::string_view text = environment("COLUMNS");
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value > 0 ? value : usual_width;
}

}  // namespace

void write_error_stream(const std::string& text) {
  // a bar that cannot be drawn is no reason to stop
  [[maybe_unused]] const auto wrote = ::write(STDERR_FILENO, text.data(), text.size());
}

Terminal standard_output_terminal() {
  Terminal terminal;
  terminal.colour = ::isatty(STDOUT_FILENO) != 0 && environment("NO_COLOR").empty() &&
                    environment("TERM") != "dumb";
  terminal.width = std::clamp(columns(STDOUT_FILENO), least_width, most_width);
  return terminal;
}

std::string bold(const std::string& text, const Terminal& terminal) {
  return terminal.colour ? "\x1b[1m" + text + "\x1b[0m" : text;
}

ProgressBar::ProgressBar(std::string what)
    : what_(std::move(what)),
      terminal_(::isatty(STDERR_FILENO) != 0 && environment("TERM") != "dumb"),
      next_(begin_ + std::chrono::seconds(1)) {}

bool ProgressBar::due() const { return terminal_ && Clock::now() >= next_; }

void ProgressBar::show(long long done, long long total, const std::string& note) {
  if (!due()) return;
  const auto now = Clock::now();
  next_ = now + std::chrono::milliseconds(100);
  const double share = total > 0 ? static_cast<double>(done) / static_cast<double>(total) : 1;
  const double spent = std::chrono::duration<double>(now - begin_).count();
  const std::string tail =
      fmt::format(" {:3.0f}%  {}  {:.0f} s left", std::floor(share * 100), note,
                  share > 0 ? std::ceil(spent * (1 - share) / share) : 0.0);
  const int room = columns(STDERR_FILENO) - static_cast<int>(what_.size() + tail.size()) - 2;
  constexpr int longest = 40;
  const int length = std::clamp(room, 0, longest);
  const int full = static_cast<int>(share * length);
  std::string bar;
  for (int i = 0; i < length; ++i) bar += i < full ? "█" : "░";
  write_error_stream("\r\x1b[K" + what_ + " " + bar + tail);
  drawn_ = true;
}

void ProgressBar::clear() {
  if (drawn_) write_error_stream("\r\x1b[K");
  drawn_ = false;
}

}  // namespace attn::tools
