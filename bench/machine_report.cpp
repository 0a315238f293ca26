#include "bench/machine_report.hpp"

#include "bench/machine.hpp"
#include "kernels/isa.hpp"
#include "kernels/workers.hpp"

#include <cstdio>
#include <vector>

namespace attn::bench {
namespace {

using kernels::Isa;

// within L1 (16 KiB), L2 (512 KiB), most L3 (8 MiB), and past all of them
constexpr std::size_t sizes[] = {16U << 10, 512U << 10, 8U << 20, 256U << 20};

std::string formatted(const char* format, auto... values) {
  char text[128];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

std::string size_name(std::size_t bytes) {
  return bytes < (1U << 20) ? formatted("%zu KiB", bytes >> 10) : formatted("%zu MiB", bytes >> 20);
}

std::vector<int> thread_counts() {
  const int all = kernels::default_threads();
  return all > 1 ? std::vector{1, all} : std::vector{1};
}

std::string table() {
  std::string text = "f32 arithmetic in registers   GFLOP/s\n";
  for (const int threads : thread_counts()) {
    for (const Isa isa : kernels::supported_isas()) {
      text += formatted("  %-8s %3d thread%s %14.1f\n", kernels::isa_name(isa).data(), threads,
                        threads == 1 ? " " : "s", arithmetic_limit(isa, threads));
    }
  }
  text += "memory                           copy     update       read   GB/s\n";
  for (const int threads : thread_counts()) {
    for (const std::size_t bytes : sizes) {
      text += formatted("  %-8s %3d thread%s %14.1f %10.1f %10.1f\n", size_name(bytes).c_str(),
                        threads, threads == 1 ? " " : "s", copy_limit(bytes, threads),
                        update_limit(bytes, threads), read_limit(bytes, threads));
    }
  }
  return text;
}

std::string json_object() {
  std::string arithmetic, memory;
  for (const int threads : thread_counts()) {
    for (const Isa isa : kernels::supported_isas()) {
      arithmetic += formatted("%s\n    {\"isa\": \"%s\", \"threads\": %d, \"gflops\": %.1f}",
                              arithmetic.empty() ? "" : ",", kernels::isa_name(isa).data(), threads,
                              arithmetic_limit(isa, threads));
    }
    for (const std::size_t bytes : sizes) {
      memory += formatted(
          "%s\n    {\"bytes\": %zu, \"threads\": %d, \"copy_gbs\": %.1f, \"update_gbs\": %.1f, "
          "\"read_gbs\": %.1f}",
          memory.empty() ? "" : ",", bytes, threads, copy_limit(bytes, threads),
          update_limit(bytes, threads), read_limit(bytes, threads));
    }
  }
  return "{\n  \"arithmetic\": [" + arithmetic + "\n  ],\n  \"memory\": [" + memory + "\n  ]\n}\n";
}

}  // namespace

std::string machine_report(bool json) { return json ? json_object() : table(); }

}  // namespace attn::bench
