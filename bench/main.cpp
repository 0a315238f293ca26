// attn-bench: the speed of models, of kernels and of the machine itself.

#include "attn/error.hpp"
#include "bench/arguments.hpp"
#include "bench/compare_results.hpp"
#include "bench/machine_report.hpp"
#include "bench/model_report.hpp"
#include "bench/output.hpp"
#include "bench/report.hpp"
#include "tools/common/exit_codes.hpp"
#include "tools/common/tool.hpp"

#include <CLI/CLI.hpp>
#include <benchmark/benchmark.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace attn;
using namespace attn::bench;

constexpr int exit_slower = 1, exit_no_match = 2;

bool is_flag_of_google(std::string_view word) { return word.starts_with("--benchmark_"); }

void check_output(const std::string& format, std::initializer_list<std::string_view> known) {
  std::string names;
  for (const std::string_view name : known) {
    if (name == format) return;
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  throw Error(ErrorKind::usage, "--output " + format + ": needs one of " + names);
}

// False if no kernel has such a name, which Google Benchmark says itself.
bool measure_kernels(const Arguments& arguments, std::vector<std::string> flags) {
  check_output(arguments.output, {"md", "csv", "json"});
  flags.insert(flags.begin(), "attn-bench");
  if (arguments.output != "md") flags.push_back("--benchmark_format=" + arguments.output);
  if (!arguments.kernels.value_or("").empty()) {
    flags.push_back("--benchmark_filter=" + *arguments.kernels);
  }
  std::vector<char*> words;
  for (std::string& flag : flags) words.push_back(flag.data());
  int count = static_cast<int>(words.size());
  words.push_back(nullptr);
  benchmark::Initialize(&count, words.data());
  if (count > 1) throw Error(ErrorKind::usage, "Google Benchmark has no flag " + flags[1]);
  isa();  // a level that the CPU lacks is told before anything runs
  return benchmark::RunSpecifiedBenchmarks() > 0;
}

void measure_machine(const Arguments& arguments, tools::Out& out) {
  check_output(arguments.output, {"md", "json"});
  const nlohmann::ordered_json report = machine_report();
  out.print(arguments.output == "md" ? machine_tables(report) : report.dump(2) + "\n");
}

void measure_model(const Arguments& arguments, tools::Out& out) {
  check_output(arguments.output, {"md", "csv", "json", "jsonl"});
  const nlohmann::ordered_json rows = model_report(arguments);
  if (arguments.output == "json") return out.print(rows.dump(2) + "\n");
  out.print(arguments.output == "csv"     ? rows_csv(rows)
            : arguments.output == "jsonl" ? rows_jsonl(rows)
                                          : rows_markdown(rows));
}

// True if something became slower.
bool compare(const Arguments& arguments, tools::Out& out) {
  check_output(arguments.output, {"md"});
  const Comparison comparison = compare_results(arguments.compare[0], arguments.compare[1]);
  out.print(comparison.table);
  return comparison.slower;
}

}  // namespace

int main(int argc, char** argv) {
  int outcome = tools::exit_done;
  const int code = tools::run_tool("attn-bench", [&](tools::Out& out) {
    CLI::App app("Measures models, kernels and the limits of this machine.", "attn-bench");
    Arguments arguments;
    declare(app, arguments);
    std::vector<const char*> words;
    std::vector<std::string> flags_of_google;
    for (int i = 0; i < argc; ++i) {
      if (is_flag_of_google(argv[i])) {
        flags_of_google.emplace_back(argv[i]);
      } else {
        words.push_back(argv[i]);
      }
    }
    if (!parse_arguments(app, static_cast<int>(words.size()), words.data(), out)) return;
    const bool kernels = app.count("--kernels") > 0 || !flags_of_google.empty();
    const int tasks = (arguments.model ? 1 : 0) + (arguments.machine ? 1 : 0) + (kernels ? 1 : 0) +
                      (arguments.compare.empty() ? 0 : 1);
    if (tasks != 1) {
      throw Error(ErrorKind::usage,
                  "needs one of --model, --machine, --kernels and --compare (attn-bench --help "
                  "lists the options)");
    }
    if (arguments.machine) return measure_machine(arguments, out);
    if (arguments.model) return measure_model(arguments, out);
    if (kernels) {
      if (!measure_kernels(arguments, flags_of_google)) outcome = exit_no_match;
    } else if (compare(arguments, out)) {
      outcome = exit_slower;
    }
  });
  return code == tools::exit_done ? outcome : code;
}
