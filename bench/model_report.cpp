#include "bench/model_report.hpp"

#include "bench/child.hpp"
#include "bench/machine.hpp"
#include "bench/machine_dot.hpp"
#include "bench/measure.hpp"
#include "bench/page_cache.hpp"
#include "bench/statistics.hpp"
#include "tools/common/kv_type.hpp"
#include "tools/common/terminal.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <fstream>
#include <map>

namespace attn::bench {
namespace {

using Row = nlohmann::ordered_json;

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const std::size_t colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos) {
      return line.substr(colon + 2);
    }
  }
  return "";
}

std::string now() {
  return fmt::format(
      "{:%Y-%m-%dT%H:%M:%SZ}",
      fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
}

std::int64_t nanoseconds(double seconds) { return std::llround(seconds * 1e9); }

// The most that this machine can do of what a test is made of.
struct Limit {
  std::string name;
  double rate = 0;  ///< operations or bytes a second
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Limit, name, rate)

Limit measure_arithmetic(bool bf16, const std::string& isa, int threads) {
  const kernels::Isa level = kernels::choose_isa(isa).isa;
  if (!bf16) return {isa + " f32", 1e9 * arithmetic_limit(level, threads)};
  const Bf16Limit limit = bf16_limit(level, threads);
  return {limit.name, 1e9 * limit.rate};
}

Limit measure_reading(std::int64_t bytes, int threads) {
  return {"reading", 1e9 * read_limit(static_cast<std::size_t>(bytes), threads)};
}

class Report {
 public:
  explicit Report(const Arguments& arguments)
      : arguments_(arguments),
        path_(*arguments.model),
        repetitions_(repetitions(arguments)),
        kv_type_(tools::kv_type(arguments.kv_type)) {}

  Row rows() {
    cost_ = in_child([&] { return describe(); });
    const std::vector<Test> all = tests(arguments_, cost_.encoder);
    check_context(all);
    tools::ProgressBar progress("attn-bench");
    Row rows = Row::array();
    for (const Test& test : all) {
      progress.show(std::ssize(rows), std::ssize(all), test_name(test, cost_.encoder));
      rows.push_back(row(test));
    }
    return rows;
  }

 private:
  [[nodiscard]] ModelCost describe() const {
    const Model model = Model::open(path_, open_options(arguments_, 1));
    if (!model.text().generates && !model.text().embeds) {
      throw Error(ErrorKind::usage, path_ + ": " + model.architecture() +
                                        " is neither a language model nor an encoder; --kernels "
                                        "model/ measures the teaching models");
    }
    return model_cost(model);
  }

  // Before hours are spent on the tests in front of the one that does not fit.
  void check_context(const std::vector<Test>& all) const {
    for (const Test& test : all) {
      if (cost_.encoder || test.context() <= cost_.context) continue;
      throw Error(ErrorKind::usage,
                  fmt::format("{}: needs a context of {} tokens, and the model "
                              "was trained on {}",
                              test_name(test, false), test.context(), cost_.context));
    }
  }

  [[nodiscard]] Measured in_process(const Test& test, int runs) const {
    return in_child([&]() -> nlohmann::json {
      return measure(path_, open_options(arguments_, test.threads), cost_.encoder, test, kv_type_,
                     runs);
    });
  }

  // Of the products: what `auto` means for the model.
  [[nodiscard]] std::string precision() const {
    const std::string asked = arguments_.precision.value_or("auto");
    if (asked != "auto") return asked;
    return cost_.weight_type == "F32" ? "f32" : "bf16";
  }

  // Measured when first asked for.
  const Limit& limit(const Test& test) {
    const bool reads = test.generate > 0;
    auto [at, fresh] = limits_.try_emplace({reads, test.threads});
    if (fresh) {
      at->second = in_child([&]() -> nlohmann::json {
        return reads ? measure_reading(cost_.token_bytes, test.threads)
                     : measure_arithmetic(precision() == "bf16", cost_.isa, test.threads);
      });
    }
    return at->second;
  }

  Row row(const Test& test) {
    const Limit& most = limit(test);
    const bool cold = drop_from_page_cache(path_);
    const Measured first = in_process(test, 0);
    const Measured measured = in_process(test, repetitions_);
    const std::int64_t count = test.tokens(cost_.encoder);
    const auto tokens = static_cast<double>(count);
    // a weight that is read once serves a token of each answer
    const double limit_ts = test.generate > 0
                                ? most.rate * test.parallel / static_cast<double>(cost_.token_bytes)
                                : most.rate * tokens / prompt_operations(cost_, test);
    Row samples_ns = Row::array(), samples_ts = Row::array();
    std::vector<double> rates;
    for (const double seconds : measured.runs) {
      rates.push_back(tokens / seconds);
      samples_ns.push_back(nanoseconds(seconds));
      samples_ts.push_back(rates.back());
    }
    const auto when_cold = [&](double seconds) { return cold ? Row(nanoseconds(seconds)) : Row(); };
    return {{"version", ATTN_VERSION},
            {"cpu_info", cpu_name()},
            {"backends", "CPU"},
            {"isa", cost_.isa},
            {"precision", precision()},
            {"model_filename", path_},
            {"model_type", cost_.type},
            {"model_size", cost_.bytes},
            {"model_n_params", cost_.parameters},
            {"n_batch", test.batch},
            {"n_threads", test.threads},
            {"type_k", tools::kv_type_name(kv_type_)},
            {"type_v", tools::kv_type_name(kv_type_)},
            {"n_prompt", test.prompt},
            {"n_gen", test.generate},
            {"n_depth", test.depth},
            {"n_parallel", test.parallel},
            {"n_tokens", count},
            {"test", test_name(test, cost_.encoder)},
            {"test_time", now()},
            {"avg_ns", nanoseconds(mean(measured.runs))},
            {"stddev_ns", nanoseconds(deviation(measured.runs))},
            {"avg_ts", mean(rates)},
            {"stddev_ts", deviation(rates)},
            {"p50_ns", nanoseconds(percentile(measured.latencies, 0.50))},
            {"p95_ns", nanoseconds(percentile(measured.latencies, 0.95))},
            {"load_cold_ns", when_cold(first.load)},
            {"load_warm_ns", nanoseconds(measured.load)},
            {"first_token_cold_ns", when_cold(first.first_token)},
            {"first_token_warm_ns", nanoseconds(measured.first_token)},
            {"peak_rss", measured.peak_bytes},
            {"limit", most.name},
            {"limit_ts", limit_ts},
            {"limit_percent", 100 * mean(rates) / limit_ts},
            {"samples_ns", samples_ns},
            {"samples_ts", samples_ts}};
  }

  const Arguments& arguments_;
  std::string path_;
  int repetitions_;
  KvType kv_type_;
  ModelCost cost_;
  std::map<std::pair<bool, int>, Limit> limits_;
};

}  // namespace

Row model_report(const Arguments& arguments) { return Report(arguments).rows(); }

}  // namespace attn::bench
