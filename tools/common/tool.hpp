#pragma once

#include "tools/common/output.hpp"

#include <CLI/CLI.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace attn::tools {

/// Runs a tool: calls `body` and returns the exit code. What it throws becomes one line on stderr,
/// "name: message", and the code of its kind: 2 wrong use, 3 invalid model or data, 4 I/O (also
/// where results cannot be written), 5 memory, 6 numerical, 130 interrupted. A closed pipe kills
/// nobody.
int run_tool(std::string_view name, const std::function<void(Out&)>& body) noexcept;

/// Takes the command line apart, --help and --version included. False if --help or --version was
/// asked for and has been printed. Throws Error(usage) for what the app does not know.
bool parse_arguments(CLI::App& app, int argc, const char* const* argv, Out& out);

// Values of options, in one wording. Each throws Error(usage) naming option, value and limits.

/// A whole number in low..high.
std::int64_t whole_number(std::string_view option, const std::string& text, std::int64_t low,
                          std::int64_t high);

/// A whole number in 0..2⁶⁴−1.
std::uint64_t seed_number(std::string_view option, const std::string& text);

/// A number from low to high, low itself not where `above`.
struct Within {
  double low = 0, high = 0;
  bool above = false;
};
double number_within(std::string_view option, const std::string& text, Within limits);

/// A finite number above 0.
double positive_number(std::string_view option, const std::string& text);

/// -t: 1..1024; 0, the library's "as many as there are processors", where the option is absent.
int thread_count(const std::optional<std::string>& text);

/// The comma-separated words of a list, blanks around them dropped. An empty one is an error.
std::vector<std::string> word_list(std::string_view option, const std::string& text);

}  // namespace attn::tools
