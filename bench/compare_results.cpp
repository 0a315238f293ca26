#include "bench/compare_results.hpp"

#include "attn/error.hpp"
#include "bench/markdown.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <vector>

namespace attn::bench {
namespace {

using Json = nlohmann::json;

struct Rate {
  double mean = 0, deviation = 0, samples = 0;

  // the square of the mean's standard error
  [[nodiscard]] double variance() const { return deviation * deviation / samples; }
};

struct Result {
  std::string key, model, threads, test;
  Rate rate;
};

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) throw Error(ErrorKind::io, path + ": cannot read: " + std::strerror(errno));
  return text.str();
}

// A list of rows, or a row a line.
Json rows_of(const std::string& path) {
  const std::string text = read(path);
  Json rows = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (rows.is_object()) return Json::array({rows});
  if (rows.is_discarded()) {
    rows = Json::array();
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      if (!line.empty()) rows.push_back(Json::parse(line, nullptr, /*allow_exceptions=*/false));
    }
  }
  if (!rows.is_array() || rows.empty()) {
    throw Error(ErrorKind::invalid, path + ": no list of results in JSON");
  }
  return rows;
}

double number(const Json& row, const char* key, const std::string& where) {
  const auto at = row.find(key);
  if (at == row.end() || !at->is_number() || at->get<double>() < 0) {
    throw Error(ErrorKind::invalid, where + ": '" + key + "' is not a number from 0");
  }
  return at->get<double>();
}

std::string test_of(const Json& row, const std::string& where) {
  if (row.contains("test") && row["test"].is_string()) return row["test"];
  const double prompt = number(row, "n_prompt", where), generated = number(row, "n_gen", where);
  std::string name;
  if (prompt > 0) name += fmt::format("pp{}", prompt);
  if (generated > 0) name += fmt::format("{}tg{}", name.empty() ? "" : "+", generated);
  const double depth = row.contains("n_depth") ? number(row, "n_depth", where) : 0;
  return depth > 0 ? fmt::format("{} @ d{}", name, depth) : name;
}

Result result_of(const Json& row, const std::string& where) {
  if (!row.is_object()) throw Error(ErrorKind::invalid, where + ": not an object in JSON");
  Result result;
  const auto text = [&](const char* key) {
    return row.contains(key) && row[key].is_string() ? row[key].get<std::string>() : "";
  };
  result.model = text("model_type");
  result.threads = fmt::format("{}", number(row, "n_threads", where));
  result.test = test_of(row, where);
  result.rate = {number(row, "avg_ts", where), number(row, "stddev_ts", where), 1};
  if (result.rate.mean == 0) throw Error(ErrorKind::invalid, where + ": 'avg_ts' is 0");
  if (row.contains("samples_ts") && row["samples_ts"].is_array()) {
    result.rate.samples = std::max(1.0, static_cast<double>(row["samples_ts"].size()));
  }
  // what is measured, apart from the machine and the build
  const std::string keys = text("type_k");
  result.key = fmt::format("{}|{}|{}|{}|{}|{}|{}", result.model, result.threads, result.test,
                           number(row, "n_batch", where), text("precision"), text("isa"),
                           keys.empty() ? "f32" : keys);
  return result;
}

std::vector<Result> results_of(const std::string& path) {
  std::vector<Result> results;
  for (const Json& row : rows_of(path)) {
    results.push_back(result_of(row, path + ": result " + std::to_string(results.size() + 1)));
  }
  return results;
}

}  // namespace

Comparison compare_results(const std::string& old_path, const std::string& new_path) {
  constexpr double least_change = 0.03, standard_errors = 2;
  std::map<std::string, Rate> before;
  for (const Result& result : results_of(old_path)) before[result.key] = result.rate;
  Comparison comparison;
  MarkdownTable table("lrrrrrl");
  table.row({"model", "threads", "test", "old t/s", "new t/s", "change", ""});
  int common = 0;
  for (const Result& result : results_of(new_path)) {
    const auto old = before.find(result.key);
    if (old == before.end()) continue;
    ++common;
    const double change = result.rate.mean / old->second.mean - 1;
    const double noise =
        standard_errors * std::sqrt(old->second.variance() + result.rate.variance());
    const bool differs =
        std::fabs(change) > least_change && std::fabs(result.rate.mean - old->second.mean) > noise;
    comparison.slower |= differs && change < 0;
    table.row({result.model, result.threads, result.test, fmt::format("{:.2f}", old->second.mean),
               fmt::format("{:.2f}", result.rate.mean), fmt::format("{:+.1f}%", 100 * change),
               !differs     ? ""
               : change < 0 ? "slower"
                            : "faster"});
  }
  if (common == 0) {
    throw Error(ErrorKind::invalid, old_path + " and " + new_path + " have no test in common");
  }
  comparison.table = table.text();
  return comparison;
}

}  // namespace attn::bench
