#include "models/text/sampler.hpp"

#include "models/text/stop.hpp"
#include "support/files.hpp"
#include "support/numbers.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace attn;
using models::Sampler;
using models::StopStrings;
using test::require_error;

namespace {

// The probabilities that the options leave, by the definitions and without a shortcut.
std::vector<double> probabilities(const std::vector<float>& logits, const Sampling& o,
                                  const std::vector<std::int32_t>& recent) {
  std::vector<double> x(logits.begin(), logits.end());
  const auto window = std::min(recent.size(), static_cast<std::size_t>(o.repeat_window));
  std::vector<bool> penalized(x.size());
  for (std::size_t i = recent.size() - window; i < recent.size(); ++i) {
    penalized[static_cast<std::size_t>(recent[i])] = true;
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (penalized[i]) x[i] = x[i] > 0 ? x[i] / o.repeat_penalty : x[i] * o.repeat_penalty;
  }
  std::vector<std::size_t> order(x.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return x[a] > x[b]; });
  if (o.top_k > 0) order.resize(std::min(order.size(), static_cast<std::size_t>(o.top_k)));
  const auto normal = [&](double temperature) {
    std::vector<double> p;
    for (const std::size_t i : order) p.push_back(std::exp((x[i] - x[order[0]]) / temperature));
    const double sum = std::accumulate(p.begin(), p.end(), 0.0);
    for (double& each : p) each /= sum;
    return p;
  };
  if (o.top_p < 1) {
    const std::vector<double> p = normal(1);
    double sum = 0;
    std::size_t kept = 0;
    while (kept < p.size() && sum < o.top_p) sum += p[kept++];
    order.resize(kept);
  }
  while (order.size() > 1 && std::exp(x[order.back()] - x[order[0]]) < o.min_p) order.pop_back();
  const std::vector<double> p = normal(o.temperature);
  std::vector<double> all(x.size());
  for (std::size_t i = 0; i < order.size(); ++i) all[order[i]] = p[i];
  return all;
}

}  // namespace

TEST_CASE("tokens come as often as their probabilities say, whatever is filtered", "[sampler]") {
  const std::vector<float> logits{2.0F, 1.5F, 1.0F, 0.2F, -0.5F, -1.0F, 0.9F, -3.0F};
  const std::vector<std::int32_t> recent{7, 0, 2, 2};
  const Sampling plain{.temperature = 1, .top_p = 1, .min_p = 0};
  std::vector<Sampling> all{plain, {}, plain, plain, plain, plain, plain};
  all[2].temperature = 0.5;
  all[3].top_k = 3;
  all[4].top_p = 0.7;
  all[5].min_p = 0.3;
  all[6].repeat_penalty = 1.5;
  all[6].repeat_window = 3;
  all[6].top_k = 6;
  all[6].top_p = 0.9;
  for (const Sampling& options : all) {
    const std::vector<double> expected = probabilities(logits, options, recent);
    Sampler sampler(options);
    constexpr int draws = 40000;
    std::vector<int> counts(logits.size());
    for (int i = 0; i < draws; ++i) {
      ++counts[static_cast<std::size_t>(sampler.sample(logits, recent))];
    }
    double chi_square = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      if (expected[i] == 0) {
        CHECK(counts[i] == 0);
        continue;
      }
      const double mean = draws * expected[i];
      chi_square += (counts[i] - mean) * (counts[i] - mean) / mean;
    }
    CHECK(chi_square < 24.3);  // 0.1% of samples of 7 degrees of freedom exceed it
  }
}

TEST_CASE("without temperature the likeliest token is taken, the first of equals", "[sampler]") {
  Sampler greedy({.temperature = 0});
  CHECK(greedy.sample(std::vector<float>{1, 3, 3, 2}, {}) == 1);
  const std::vector<std::int32_t> recent{1};
  Sampler penalized({.temperature = 0, .repeat_penalty = 2});
  CHECK(penalized.sample(std::vector<float>{1, 3, 2.9F, 2}, recent) == 2);
  CHECK(penalized.sample(std::vector<float>{-3, -1, -2.5F}, recent) == 1);
  CHECK(penalized.sample(std::vector<float>{-3, -1, -1.5F}, recent) == 2);
}

TEST_CASE("the same seed gives the same tokens", "[sampler]") {
  const std::vector<float> logits = test::random_values<float>(500, 4);
  const auto draw = [&](std::uint64_t seed) {
    Sampler sampler({.top_p = 1, .min_p = 0, .seed = seed});
    std::vector<std::int32_t> tokens;
    for (int i = 0; i < 20; ++i) tokens.push_back(sampler.sample(logits, {}));
    return tokens;
  };
  CHECK(draw(1) == draw(1));
  CHECK(draw(1) != draw(2));
}

TEST_CASE("options that make no sense and logits that are none are errors", "[sampler]") {
  const auto refuses = [](const Sampling& options, std::string_view part) {
    require_error(ErrorKind::usage, {part}, [&] { Sampler sampler(options); });
  };
  refuses({.temperature = NAN}, "temperature");
  refuses({.temperature = -1}, "temperature");
  refuses({.top_k = -1}, "top_k: -1 ");
  refuses({.top_p = 0}, "top_p: 0.0 ");
  refuses({.top_p = 1.1}, "top_p: 1.1 ");
  refuses({.min_p = -0.1}, "min_p: -0.1 ");
  refuses({.repeat_penalty = 0}, "repeat_penalty: 0.0 ");
  refuses({.repeat_penalty = 1e-308}, "repeat_penalty: 1e-308 ");
  refuses({.repeat_window = -1}, "repeat_window: -1 ");
  Sampler sampler({});
  require_error(ErrorKind::numerical, {"token 1"}, [&] {
    (void)sampler.sample(std::vector<float>{0, NAN}, {});
  });
  require_error(ErrorKind::numerical, {"token 0"}, [&] {
    (void)sampler.sample(std::vector<float>{INFINITY, 1}, {});
  });
  require_error(ErrorKind::numerical, {"finite"}, [&] {
    (void)sampler.sample(std::vector<float>{-INFINITY, -INFINITY}, {});
  });
}

TEST_CASE("a stop string ends the text before it, and what may begin one is held back", "[stop]") {
  StopStrings stop({"END", "\n\n"});
  CHECK(stop.feed("abc E") == "abc ");
  CHECK(stop.feed("N") == "");
  CHECK(stop.feed("X\n") == "ENX");
  CHECK_FALSE(stop.hit());
  CHECK(stop.feed("y EN") == "\ny ");
  CHECK(stop.feed("D and more") == "");
  CHECK(stop.hit());
  CHECK(stop.feed("more") == "");
  StopStrings open({"END"});
  CHECK(open.feed("the EN") == "the ");
  CHECK(open.finish() == "EN");
  StopStrings none({});
  CHECK(none.feed("END") == "END");
  StopStrings first({"bc", "a"});
  CHECK(first.feed("xxabc") == "xx");  // the one that begins first
  StopStrings overlapping({"aab"});
  CHECK(overlapping.feed("aa") == "");
  CHECK(overlapping.feed("a") == "a");
  CHECK(overlapping.feed("b!") == "");
  CHECK(overlapping.hit());
}
