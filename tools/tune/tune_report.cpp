#include "tools/tune/tune_report.hpp"

#include "tools/common/json.hpp"
#include "tools/common/table.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <sys/resource.h>
#include <vector>

namespace attn::tools {
namespace {

bool has_language(const TuneEvaluation& evaluation, TuneTask task) {
  return task == TuneTask::language || (task == TuneTask::attention && evaluation.perplexity > 0);
}

bool has_scores(const TuneEvaluation& evaluation, TuneTask task) {
  return task == TuneTask::similarity && std::isfinite(evaluation.correlation);
}

std::string change(double before, double after) {
  return decimals(before) + " → " + decimals(after);
}

}  // namespace

double peak_mb() {
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;  // Linux counts in KiB
}

std::string evaluation_json(const TuneEvaluation& evaluation, TuneTask task) {
  nlohmann::ordered_json json{{"loss", evaluation.loss}};
  if (has_language(evaluation, task)) json["perplexity"] = evaluation.perplexity;
  if (has_scores(evaluation, task)) json["correlation"] = evaluation.correlation;
  if (task == TuneTask::attention) {
    json["language_loss"] = evaluation.language_loss;
    json["attention_loss"] = evaluation.attention_loss;
    json["looked_at"] = evaluation.looked_at;
  }
  json["examples"] = evaluation.examples;
  return json.dump();
}

std::string json_text(const TuneReport& report) {
  const TuneResult& result = report.result;
  const auto evaluation = [&](bool last) -> std::string {
    if (result.evaluations.empty()) return "null";
    const EvaluatedStep& step = last ? result.evaluations.back() : result.evaluations.front();
    return evaluation_json(step.evaluation, report.task);
  };
  JsonObject object;
  object.add("losses", json_list(result.losses));
  if (report.task == TuneTask::attention) object.add("looked_at", json_list(report.looked_at));
  object.add("tokens_per_s", json_number(result.tokens_per_s));
  object.add("peak_mb", json_number(peak_mb()));
  object.add("evaluation_before", evaluation(false));
  object.add("evaluation_after", evaluation(true));
  object.add("trained_parameters", std::to_string(report.trained_parameters));
  object.add("stopped", result.out_of_patience || result.stopped ? "true" : "false");
  object.add("resumed_from", std::to_string(result.resumed_from));
  return object.text() + "\n";
}

std::string closing_text(const TuneReport& report) {
  const TuneResult& result = report.result;
  Table table("ll");
  const std::size_t updates = result.losses.size();
  if (updates > 0) {
    std::string loss = change(result.losses.front(), result.losses.back());
    loss += fmt::format("  over {} {}", updates, updates == 1 ? "update" : "updates");
    if (result.resumed_from > 0) {
      loss += fmt::format(", {} of them before resuming", result.resumed_from);
    }
    if (result.out_of_patience) {
      loss += fmt::format(", of {}: evaluations got no better", result.steps);
    }
    table.row({"loss", loss});
  }
  if (!report.looked_at.empty()) {
    table.row({"looked at", change(report.looked_at.front(), report.looked_at.back())});
  }
  if (!result.evaluations.empty()) {
    const TuneEvaluation& before = result.evaluations.front().evaluation;
    const TuneEvaluation& after = result.evaluations.back().evaluation;
    table.row({"held-out loss", change(before.loss, after.loss) +
                                    fmt::format("  on {} {}", after.examples,
                                                after.examples == 1 ? "example" : "examples")});
    if (has_language(after, report.task)) {
      table.row({"perplexity", change(before.perplexity, after.perplexity)});
    }
    if (has_scores(after, report.task)) {
      table.row({"correlation", change(before.correlation, after.correlation)});
    }
    if (report.task == TuneTask::attention) {
      table.row({"held-out looked at", change(before.looked_at, after.looked_at)});
    }
  }
  table.row({"speed", fmt::format("{:.0f} tokens/s", result.tokens_per_s)});
  table.row({"memory", fmt::format("{:.0f} MB at most", peak_mb())});
  table.row({"trained", fmt::format("{} parameters", report.trained_parameters)});
  return table.text();
}

}  // namespace attn::tools
