#include "attn/error.hpp"
#include "bench/machine_report.hpp"
#include "bench/report.hpp"

#include <benchmark/benchmark.h>

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr const char* usage =
    "attn-bench: speed of the kernels and models, in percent of this machine's limits\n"
    "\n"
    "  attn-bench [--json] [--benchmark_filter=REGEX] [other flags of Google Benchmark]\n"
    "  attn-bench --machine [--json]   what this machine can do at most\n"
    "  attn-bench --help               this, and the flags of Google Benchmark\n"
    "\n"
    "ATTN_ISA=scalar|avx2|avx512 chooses the level that is measured.\n\n";

int wrong_use(const std::string& message) {
  std::fprintf(stderr, "attn-bench: %s\n", message.c_str());
  return 2;
}

int run(std::vector<char*> arguments) {
  bool machine = false, json = false;
  std::erase_if(arguments, [&](std::string_view argument) {
    machine |= argument == "--machine";
    json |= argument == "--json";
    if (argument == "--help") std::fputs(usage, stdout);  // and then Google Benchmark's own
    return argument == "--machine" || argument == "--json";
  });
  std::string format = "--benchmark_format=json";
  if (json) arguments.insert(arguments.begin() + 1, format.data());

  int count = static_cast<int>(arguments.size());
  arguments.push_back(nullptr);
  benchmark::Initialize(&count, arguments.data());
  if (count > 1)
    return wrong_use("unknown argument '" + std::string(arguments[1]) + "'; see --help");
  attn::bench::isa();  // a level that the CPU lacks is told before anything runs

  if (machine) {
    std::fputs(attn::bench::machine_report(json).c_str(), stdout);
  } else {
    benchmark::RunSpecifiedBenchmarks();
  }
  return std::fflush(stdout) == 0 ? 0 : attn::Error(attn::ErrorKind::io, "").exit_code();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run({argv, argv + argc});
  } catch (const attn::Error& error) {
    std::fprintf(stderr, "attn-bench: %s\n", error.what());
    return error.exit_code();
  } catch (const std::bad_alloc&) {
    std::fputs("attn-bench: out of memory\n", stderr);
    return attn::Error(attn::ErrorKind::memory, "").exit_code();
  }
}
