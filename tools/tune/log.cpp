#include "tools/tune/log.hpp"

#include "attn/error.hpp"
#include "tools/common/data.hpp"
#include "tools/draw/files.hpp"
#include "tools/tune/tune_report.hpp"

#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <sstream>

namespace attn::tools {

using Json = nlohmann::ordered_json;  // numbers that are not finite become null

void TuneLog::add(const TuneStep& step, TuneTask task) {
  open(step.step, /*evaluated=*/false);
  Json line{{"step", step.step}, {"loss", step.loss}};
  if (task == TuneTask::attention) {
    line["language_loss"] = step.language_loss;
    line["attention_loss"] = step.attention_loss;
    line["looked_at"] = step.looked_at;
  }
  line["rate"] = step.rate;
  line["tokens"] = step.tokens;
  if (step.seconds > 0) line["tokens_per_s"] = static_cast<double>(step.tokens) / step.seconds;
  if (step.gradient_norm) line["gradient_norm"] = *step.gradient_norm;
  line["memory_mb"] = peak_mb();
  write(line.dump() + "\n");
}

void TuneLog::add(const TuneEvaluation& evaluation, TuneTask task, std::int64_t step) {
  open(step, /*evaluated=*/true);
  const Json line{{"step", step}, {"evaluation", Json::parse(evaluation_json(evaluation, task))}};
  write(line.dump() + "\n");
}

void TuneLog::open(std::int64_t step, bool evaluated) {
  if (file_.is_open()) return;
  std::string kept;
  // whole or an error: what could not be read would be lost
  std::istringstream old(resume_ && std::filesystem::exists(path_) ? read_file(path_) : "");
  for (std::string line; std::getline(old, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    // a line that was being written when the run was killed is none
    if (!json.is_object() || !json.contains("step") || !json["step"].is_number_integer()) continue;
    const std::int64_t at = json["step"].get<std::int64_t>();
    // an evaluation comes after the update of its number
    if (at < step || (at == step && evaluated && !json.contains("evaluation"))) kept += line + "\n";
  }
  write_file(path_, kept);
  file_.open(path_, std::ios::app);
}

void TuneLog::write(const std::string& line) {
  errno = 0;
  file_ << line << std::flush;
  if (!file_) {
    throw Error(ErrorKind::io, path_ + ": cannot be written" +
                                   (errno != 0 ? std::string(": ") + std::strerror(errno) : ""));
  }
}

}  // namespace attn::tools
