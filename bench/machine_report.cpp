#include "bench/machine_report.hpp"

#include "bench/machine.hpp"
#include "bench/machine_dot.hpp"
#include "bench/markdown.hpp"
#include "kernels/isa.hpp"
#include "kernels/workers.hpp"

#include <fmt/format.h>

#include <vector>

namespace attn::bench {
namespace {

using kernels::Isa;
using Json = nlohmann::ordered_json;

// from within L1 to past any L3
constexpr std::size_t sizes[] = {16U << 10, 128U << 10, 512U << 10, 2U << 20,
                                 8U << 20,  32U << 20,  128U << 20, 256U << 20};

std::string size_name(std::size_t bytes) {
  return bytes < (1U << 20) ? fmt::format("{} KiB", bytes >> 10)
                            : fmt::format("{} MiB", bytes >> 20);
}

std::vector<int> thread_counts() {
  const int all = kernels::default_threads();
  std::vector<int> counts;
  for (int threads = 1; threads < all; threads *= 2) counts.push_back(threads);
  counts.push_back(all);
  return counts;
}

void add_arithmetic(Json& rows, int threads) {
  const auto add = [&](std::string_view isa, std::string_view type, double limit) {
    rows.push_back({{"isa", isa}, {"type", type}, {"threads", threads}, {"gflops", limit}});
  };
  for (const Isa isa : kernels::supported_isas()) {
    add(kernels::isa_name(isa), "f32", arithmetic_limit(isa, threads));
  }
  for (const Dot dot : dots) {
    if (dot_supported(dot)) add(dot_name(dot), dot_type(dot), dot_limit(dot, threads));
  }
}

void add_memory(Json& rows, int threads) {
  for (const std::size_t bytes : sizes) {
    rows.push_back({{"bytes", bytes},
                    {"threads", threads},
                    {"copy_gbs", copy_limit(bytes, threads)},
                    {"update_gbs", update_limit(bytes, threads)},
                    {"read_gbs", read_limit(bytes, threads)}});
  }
}

std::string number(const Json& value) { return fmt::format("{:.1f}", value.get<double>()); }

}  // namespace

Json machine_report() {
  Json arithmetic = Json::array(), memory = Json::array();
  for (const int threads : thread_counts()) {
    add_arithmetic(arithmetic, threads);
    add_memory(memory, threads);
  }
  return {{"arithmetic", arithmetic}, {"memory", memory}};
}

std::string machine_tables(const Json& report) {
  MarkdownTable arithmetic("llrr");
  arithmetic.row({"arithmetic in registers", "type", "threads", "GFLOP/s"});
  for (const Json& row : report["arithmetic"]) {
    arithmetic.row({row["isa"], row["type"], row["threads"].dump(), number(row["gflops"])});
  }
  MarkdownTable memory("rrrrr");
  memory.row({"memory", "threads", "copy GB/s", "update GB/s", "read GB/s"});
  for (const Json& row : report["memory"]) {
    memory.row({size_name(row["bytes"]), row["threads"].dump(), number(row["copy_gbs"]),
                number(row["update_gbs"]), number(row["read_gbs"])});
  }
  return arithmetic.text() + "\n" + memory.text();
}

}  // namespace attn::bench
