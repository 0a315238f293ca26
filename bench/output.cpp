#include "bench/output.hpp"

#include "bench/markdown.hpp"

#include <fmt/format.h>

#include <set>

namespace attn::bench {
namespace {

using Row = nlohmann::ordered_json;

std::string mebibytes(const Row& bytes, int decimals) {
  return fmt::format("{:.{}f} MiB", bytes.get<double>() / (1 << 20), decimals);
}

std::string parameters(double count) {
  return count < 1e9 ? fmt::format("{:.2f} M", count * 1e-6)
                     : fmt::format("{:.2f} B", count * 1e-9);
}

std::string milliseconds(const Row& ns) {
  if (ns.is_null()) return "–";
  const double value = ns.get<double>() * 1e-6;
  return fmt::format("{:.{}f}", value, value < 10 ? 2 : value < 100 ? 1 : 0);
}

std::string text(const Row& value) { return value.get<std::string>(); }

std::string quoted(const Row& value) {
  std::string cell = "\"";
  for (const char c : value.is_null() ? "" : value.is_string() ? text(value) : value.dump()) {
    cell += c == '"' ? "\"\"" : std::string(1, c);
  }
  return cell + "\"";
}

// "a, b": what the rows have at that key, each value once.
std::string values_of(const Row& rows, const char* key) {
  std::set<std::string> seen;
  std::string list;
  for (const Row& row : rows) {
    const std::string value = text(row[key]);
    if (seen.insert(value).second) list += (list.empty() ? "" : ", ") + value;
  }
  return list;
}

}  // namespace

std::string rows_markdown(const Row& rows) {
  MarkdownTable table("lrrlrrrrrrrrr");
  table.row({"model", "size", "params", "backend", "threads", "test", "t/s", "% of limit", "P50 ms",
             "P95 ms", "load ms cold / warm", "first token ms cold / warm", "peak RSS"});
  for (const Row& row : rows) {
    table.row({text(row["model_type"]), mebibytes(row["model_size"], 2),
               parameters(row["model_n_params"]), text(row["backends"]), row["n_threads"].dump(),
               text(row["test"]),
               fmt::format("{:.2f} ± {:.2f}", row["avg_ts"].get<double>(),
                           row["stddev_ts"].get<double>()),
               fmt::format("{:.0f}", row["limit_percent"].get<double>()),
               milliseconds(row["p50_ns"]), milliseconds(row["p95_ns"]),
               milliseconds(row["load_cold_ns"]) + " / " + milliseconds(row["load_warm_ns"]),
               milliseconds(row["first_token_cold_ns"]) + " / " +
                   milliseconds(row["first_token_warm_ns"]),
               mebibytes(row["peak_rss"], 0)});
  }
  const std::string cache = values_of(rows, "type_k");
  return table.text() + fmt::format("\nbuild: attn {} on {}; {}, {} products{}; limits: {}\n",
                                    values_of(rows, "version"), values_of(rows, "cpu_info"),
                                    values_of(rows, "isa"), values_of(rows, "precision"),
                                    cache == "f32" ? "" : ", " + cache + " cache",
                                    values_of(rows, "limit"));
}

std::string rows_csv(const Row& rows) {
  std::string out;
  for (const auto& [key, value] : rows[0].items()) {
    if (!value.is_array()) out += (out.empty() ? "" : ",") + key;
  }
  out += "\n";
  for (const Row& row : rows) {
    std::string line;
    for (const Row& value : row) {
      if (!value.is_array()) line += (line.empty() ? "" : ",") + quoted(value);
    }
    out += line + "\n";
  }
  return out;
}

std::string rows_jsonl(const Row& rows) {
  std::string out;
  for (const Row& row : rows) out += row.dump() + "\n";
  return out;
}

}  // namespace attn::bench
