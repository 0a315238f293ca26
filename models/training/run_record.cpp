#include "models/training/run_record.hpp"

#include "attn/error.hpp"
#include "runtime/formats/json.hpp"
#include "runtime/formats/safetensors_check.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace attn::models {

using runtime::Json;

namespace {

// JSON has no NaN and no infinity; they come back as NaN.
Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

double number(const Json& json) {
  return json.is_null() ? std::numeric_limits<double>::quiet_NaN() : json.get<double>();
}

Json evaluation_json(const EvaluatedStep& each) {
  const TuneEvaluation& e = each.evaluation;
  return Json::array({each.step, e.examples, number(e.loss), number(e.perplexity),
                      number(e.correlation), number(e.language_loss), number(e.attention_loss),
                      number(e.looked_at)});
}

EvaluatedStep evaluation_of(const Json& json) {
  EvaluatedStep each;
  TuneEvaluation& e = each.evaluation;
  // get() would convert a float, however large
  each.step = json.at(0).get_ref<const Json::number_integer_t&>();
  e.examples = json.at(1).get_ref<const Json::number_integer_t&>();
  e.loss = number(json.at(2));
  e.perplexity = number(json.at(3));
  e.correlation = number(json.at(4));
  e.language_loss = number(json.at(5));
  e.attention_loss = number(json.at(6));
  e.looked_at = number(json.at(7));
  return each;
}

}  // namespace

void RunRecord::add(const TuneStep& step) {
  losses_.push_back(step.loss);
  if (step.seconds > 0) speeds_.push_back(static_cast<double>(step.tokens) / step.seconds);
}

void RunRecord::add(const TuneEvaluation& evaluation, std::int64_t step) {
  evaluations_.push_back({step, evaluation});
}

bool RunRecord::evaluated(std::int64_t step) const {
  return !evaluations_.empty() && evaluations_.back().step == step;
}

bool RunRecord::out_of_patience() const {
  if (patience_ <= 0) return false;
  double best = std::numeric_limits<double>::infinity();
  int since = 0;
  for (const EvaluatedStep& each : evaluations_) {
    since = each.evaluation.loss < best ? 0 : since + 1;
    best = std::fmin(best, each.evaluation.loss);
  }
  return since >= patience_;
}

double RunRecord::tokens_per_s() const {
  // memory is touched and packed for the first time in the first update, and caches fill
  constexpr std::size_t warm_up = 2;
  const std::size_t skipped = speeds_.size() > warm_up ? warm_up : 0;
  std::vector<double> speeds(speeds_.begin() + static_cast<std::ptrdiff_t>(skipped), speeds_.end());
  if (speeds.empty()) return 0;
  const auto middle = speeds.begin() + static_cast<std::ptrdiff_t>(speeds.size() / 2);
  std::nth_element(speeds.begin(), middle, speeds.end());
  return *middle;
}

std::map<std::string, std::string> RunRecord::notes() const {
  Json losses = Json::array(), evaluations = Json::array();
  for (const double loss : losses_) losses.push_back(number(loss));
  for (const EvaluatedStep& each : evaluations_) evaluations.push_back(evaluation_json(each));
  return {{"data", data_},
          {"held_out", held_out_},
          {"losses", losses.dump()},
          {"evaluations", evaluations.dump()}};
}

void RunRecord::take(const std::map<std::string, std::string>& notes, std::int64_t steps,
                     const std::string& where) {
  const auto note = [&](const char* key) -> const std::string& {
    const auto found = notes.find(key);
    if (found == notes.end()) {
      throw Error(ErrorKind::invalid, where + ": is no checkpoint of a run: it has no " + key);
    }
    return found->second;
  };
  if (note("data") != data_) {
    throw Error(ErrorKind::invalid,
                where + ": was trained on other data, or in another order of it");
  }
  const Json losses = runtime::parse_json(note("losses"), where + ": losses");
  const Json evaluations = runtime::parse_json(note("evaluations"), where + ": evaluations");
  try {
    losses_.clear();
    evaluations_.clear();
    for (const Json& each : losses) losses_.push_back(number(each));
    for (const Json& each : evaluations) evaluations_.push_back(evaluation_of(each));
  } catch (const Json::exception&) {
    throw Error(ErrorKind::invalid, where + ": its notes are not those of a run");
  }
  if (!evaluations_.empty() && note("held_out") != held_out_) {
    throw Error(ErrorKind::invalid, where + ": was evaluated on other data");
  }
  if (std::ssize(losses_) != steps) {
    throw Error(ErrorKind::invalid, where + ": has " + std::to_string(losses_.size()) +
                                        " losses of " + std::to_string(steps) + " updates");
  }
}

std::string data_fingerprint(std::span<const TuneExample> train, std::size_t each, bool shuffle) {
  std::vector<std::uint64_t> sums{train.size(), each, shuffle ? std::uint64_t{1} : 0};
  for (const TuneExample& example : train) {
    for (const auto* list :
         {&example.tokens, &example.targets, &example.words, &example.look_at, &example.other}) {
      sums.push_back(list->size());
      sums.push_back(runtime::data_checksum(std::as_bytes(std::span(*list))));
    }
    sums.push_back(std::bit_cast<std::uint64_t>(example.score));
  }
  return runtime::checksum_text(runtime::data_checksum(std::as_bytes(std::span(sums))));
}

}  // namespace attn::models
