#include "models/text/sampler.hpp"

#include "attn/error.hpp"
#include "models/metadata.hpp"

#include <algorithm>
#include <cmath>
#include <string>

namespace attn::models {
namespace {

void check(bool ok, const char* name, const std::string& value, const char* limits) {
  if (!ok) throw Error(ErrorKind::usage, std::string(name) + ": " + value + " is not " + limits);
}

// The likeliest, the first of equals; what no choice can be made from is an error.
std::int32_t greedy(std::span<const float> logits) {
  std::size_t best = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i]) || logits[i] == INFINITY) {
      throw Error(ErrorKind::numerical,
                  "the logit of token " + std::to_string(i) + " is not finite");
    }
    if (logits[i] > logits[best]) best = i;
  }
  if (logits.empty() || logits[best] == -INFINITY) {
    throw Error(ErrorKind::numerical, "no logit is finite");
  }
  return static_cast<std::int32_t>(best);
}

}  // namespace

Sampler::Sampler(const Sampling& options) : options_(options), random_(options.seed) {
  const Sampling& o = options_;
  check(std::isfinite(o.temperature) && o.temperature >= 0, "temperature", to_text(o.temperature),
        "a finite number from 0 on");
  check(o.top_k >= 0, "top_k", std::to_string(o.top_k), "0 or above");
  check(o.top_p > 0 && o.top_p <= 1, "top_p", to_text(o.top_p), "above 0 and at most 1");
  check(o.min_p >= 0 && o.min_p <= 1, "min_p", to_text(o.min_p), "in 0..1");
  // what divides logits by more or less might make infinities of them
  check(o.repeat_penalty >= 1e-3 && o.repeat_penalty <= 1e3, "repeat_penalty",
        to_text(o.repeat_penalty), "in 0.001..1000");
  check(o.repeat_window >= 0, "repeat_window", std::to_string(o.repeat_window), "0 or above");
}

void Sampler::penalize(std::span<const std::int32_t> recent) {
  const auto window = static_cast<std::size_t>(options_.repeat_window);
  std::vector<std::int32_t> last(
      recent.end() - static_cast<std::ptrdiff_t>(std::min(window, recent.size())), recent.end());
  std::sort(last.begin(), last.end());
  last.erase(std::unique(last.begin(), last.end()), last.end());
  const auto penalty = static_cast<float>(options_.repeat_penalty);
  for (const std::int32_t token : last) {
    if (token < 0 || static_cast<std::size_t>(token) >= logits_.size()) continue;
    float& logit = logits_[static_cast<std::size_t>(token)];
    logit = logit > 0 ? logit / penalty : logit * penalty;
  }
}

// The candidates that can matter, likeliest first, and the weight of all that were to choose from,
// relative to the likeliest. min-p comes after top-p, yet both keep the likeliest, so that what
// min-p will drop need not be sorted; its weight still counts.
double Sampler::keep_likeliest() {
  const float top = *std::max_element(logits_.begin(), logits_.end());
  const auto likelier = [](const Candidate& a, const Candidate& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
  };
  const auto weight = [&](float logit) { return static_cast<double>(std::exp(logit - top)); };
  // less than e^-20 of the likeliest: 50,000 of them weigh 1e-4 together
  constexpr float negligible = 20;
  double sum = 0;
  for (const float logit : logits_) {
    if (logit > top - negligible) sum += weight(logit);
  }
  double share = options_.top_k > 0 ? 0 : options_.min_p;
  if (options_.top_k == 0 && options_.top_p < 1) {
    // all that weigh less than this together do not make up what top-p leaves out
    const double outside = (1 - options_.top_p) * sum / static_cast<double>(logits_.size());
    share = std::max(share, outside);
  }
  constexpr float margin = 0.001F;  // of rounding: what is on the border stays
  const float least = share > 0 ? top + static_cast<float>(std::log(share)) - margin : -INFINITY;
  candidates_.clear();
  for (std::size_t i = 0; i < logits_.size(); ++i) {
    const float logit = logits_[i];
    if (logit >= least && logit > -INFINITY) {
      candidates_.push_back({logit, static_cast<std::int32_t>(i)});
    }
  }
  const auto most = static_cast<std::size_t>(options_.top_k);
  if (most > 0 && most < candidates_.size()) {
    const auto end = candidates_.begin() + static_cast<std::ptrdiff_t>(most);
    std::nth_element(candidates_.begin(), end, candidates_.end(), likelier);
    candidates_.erase(end, candidates_.end());
    sum = 0;
    for (const Candidate& candidate : candidates_) sum += weight(candidate.logit);
  }
  std::sort(candidates_.begin(), candidates_.end(), likelier);
  return sum;
}

std::int32_t Sampler::sample(std::span<const float> logits, std::span<const std::int32_t> recent) {
  std::int32_t best = greedy(logits);
  logits_.assign(logits.begin(), logits.end());
  if (options_.repeat_penalty != 1) {
    penalize(recent);
    best = greedy(logits_);
  }
  if (options_.temperature == 0) return best;
  double sum = keep_likeliest();

  const auto top = static_cast<double>(candidates_.front().logit);
  const auto weigh = [&](double temperature) {
    weights_.clear();
    double together = 0;
    for (const Candidate& candidate : candidates_) {
      weights_.push_back(std::exp((static_cast<double>(candidate.logit) - top) / temperature));
      together += weights_.back();
    }
    return together;
  };
  (void)weigh(1);
  std::size_t kept = candidates_.size();
  if (options_.top_p < 1) {
    double reached = 0;
    for (std::size_t i = 0; i < kept; ++i) {
      reached += weights_[i];
      if (reached >= options_.top_p * sum) kept = i + 1;
    }
  }
  // weights are relative to the likeliest, whose own is 1
  while (kept > 1 && weights_[kept - 1] < options_.min_p) --kept;
  candidates_.resize(kept);

  sum = weigh(options_.temperature);
  double drawn = random_.uniform(0, 1) * sum;
  for (std::size_t i = 0; i < kept; ++i) {
    drawn -= weights_[i];
    if (drawn < 0) return candidates_[i].token;
  }
  return candidates_.front().token;  // rounding left a little over
}

}  // namespace attn::models
