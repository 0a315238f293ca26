#include "tools/common/tool.hpp"

#include "attn/error.hpp"
#include "tools/common/exit_codes.hpp"
#include "tools/common/interrupt.hpp"

#include <charconv>
#include <cmath>
#include <csignal>
#include <fcntl.h>
#include <memory>
#include <new>
#include <sstream>
#include <stdexcept>
#include <unistd.h>

namespace attn::tools {
namespace {

constexpr int most_threads = 1024;

/// Occupies the numbers 0, 1 and 2 where they are closed, so that no file that is opened later gets
/// one of them and is taken for stdin, stdout or stderr. Writing to such a stdout still fails.
void reserve_standard_files() {
  for (int number = 0; number <= 2; ++number) {
    if (::fcntl(number, F_GETFD) >= 0) continue;
    const int file = ::open("/dev/null", number == 2 ? O_WRONLY : O_RDONLY);
    if (file >= 0 && file != number) ::close(file);
  }
}

/// The message on one line, whatever a file's name or content brought into it.
std::string one_line(std::string_view message) {
  std::string line;
  for (const char c : message) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      line += "\\n";
    } else if (c == '\t') {
      line += ' ';
    } else if (byte < 0x20 || byte == 0x7f) {
      constexpr std::string_view digits = "0123456789abcdef";
      line += "\\x";
      line += digits[byte / 16];
      line += digits[byte % 16];
    } else {
      line += c;
    }
  }
  return line;
}

void complain(std::string_view name, std::string_view message) {
  std::string line(name);
  line += ": " + one_line(message) + "\n";
  // nobody is left to be told if stderr is gone
  [[maybe_unused]] const auto wrote = ::write(STDERR_FILENO, line.data(), line.size());
}

/// Help without the list of positionals (they are options as well) and with wrapped descriptions.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter() { column_width(help_column); }
  std::string make_positionals(const CLI::App* /*app*/) const override { return ""; }
  std::string make_option_opts(const CLI::Option* option) const override {
    return option->get_type_name().empty() ? "" : " " + option->get_type_name();
  }
  std::string make_option_desc(const CLI::Option* option) const override {
    std::string wrapped;
    std::size_t column = 0;
    std::istringstream words(option->get_description());
    for (std::string word; words >> word; column += word.size() + 1) {
      if (column + word.size() > help_width - help_column) {
        wrapped.back() = '\n';
        column = 0;
      }
      wrapped += word + " ";
    }
    if (!wrapped.empty()) wrapped.pop_back();
    return wrapped;
  }

 private:
  static constexpr std::size_t help_column = 26, help_width = 96;
};

[[noreturn]] void refuse(std::string_view option, const std::string& text,
                         const std::string& wanted) {
  throw Error(ErrorKind::usage,
              std::string(option) + " " + (text.empty() ? "''" : text) + ": needs " + wanted);
}

template <class Number>
bool parse_whole(const std::string& text, Number& value) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc{} && stop == end;
}

}  // namespace

int run_tool(std::string_view name, const std::function<void(Out&)>& body) noexcept {
  try {
    reserve_standard_files();
    std::signal(SIGPIPE, SIG_IGN);  // a reader that went away is an error of write()
    catch_interrupts();
    Out out;
    body(out);
    out.flush();
    return exit_done;
  } catch (const Interrupted& interruption) {
    complain(name, interruption.message);
    return exit_interrupted;
  } catch (const Error& error) {
    complain(name, error.what());
    return error.exit_code();
  } catch (const std::bad_alloc&) {
    complain(name, "not enough memory");
    return Error(ErrorKind::memory, "").exit_code();
  } catch (const std::exception& error) {
    complain(name, error.what());
    return Error(ErrorKind::invalid, "").exit_code();
  }
}

bool parse_arguments(CLI::App& app, int argc, const char* const* argv, Out& out) {
  app.formatter(std::make_shared<HelpFormatter>());
  app.set_help_flag("-h,--help", "Print this");
  app.set_version_flag("--version", app.get_name() + " " + ATTN_VERSION, "Print the version");
  try {
    app.parse(argc, argv);
    return true;
  } catch (const CLI::CallForHelp&) {
    out.print(app.help());
  } catch (const CLI::CallForVersion& version) {
    out.print(std::string(version.what()) + "\n");
  } catch (const CLI::ParseError& error) {
    throw Error(ErrorKind::usage,
                std::string(error.what()) + " (" + app.get_name() + " --help lists the options)");
  }
  return false;
}

std::int64_t whole_number(std::string_view option, const std::string& text, std::int64_t low,
                          std::int64_t high) {
  std::int64_t value = 0;
  if (!parse_whole(text, value) || value < low || value > high) {
    refuse(option, text,
           "a whole number from " + std::to_string(low) + " to " + std::to_string(high));
  }
  return value;
}

std::uint64_t seed_number(std::string_view option, const std::string& text) {
  std::uint64_t value = 0;
  if (!parse_whole(text, value)) refuse(option, text, "a whole number from 0 to 2^64 - 1");
  return value;
}

double number_within(std::string_view option, const std::string& text, Within limits) {
  double value = 0;
  // a NaN is in no range
  if (!parse_whole(text, value) || !(value >= limits.low && value <= limits.high) ||
      (limits.above && value <= limits.low)) {
    std::ostringstream wanted;
    wanted << "a number " << (limits.above ? "above " : "from ") << limits.low << " to "
           << limits.high;
    refuse(option, text, wanted.str());
  }
  return value;
}

double positive_number(std::string_view option, const std::string& text) {
  double value = 0;
  if (!parse_whole(text, value) || !std::isfinite(value) || value <= 0) {
    refuse(option, text, "a finite number above 0");
  }
  return value;
}

int thread_count(const std::optional<std::string>& text) {
  return text ? static_cast<int>(whole_number("--threads", *text, 1, most_threads)) : 0;
}

std::vector<std::string> word_list(std::string_view option, const std::string& text) {
  constexpr std::string_view blanks = " \t\n";
  std::vector<std::string> words;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    const std::string part = text.substr(at, comma - at);
    const std::size_t first = part.find_first_not_of(blanks);
    if (first == std::string::npos) refuse(option, text, "words with commas between them");
    words.push_back(part.substr(first, part.find_last_not_of(blanks) - first + 1));
    at = comma + 1;
  }
  return words;
}

}  // namespace attn::tools
