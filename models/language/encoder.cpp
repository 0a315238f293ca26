#include "models/language/encoder.hpp"

#include "attn/error.hpp"
#include "models/errors.hpp"
#include "models/language/prompts.hpp"
#include "models/profile.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

namespace attn::models {

using runtime::TensorView;
using runtime::ValueId;

namespace {

// Tokens that are read together: their rows stay in the caches from one product to the next (4,096
// at once are 10% slower), and are enough for some threads. Never by how many threads there are:
// what is read together decides how it rounds.
constexpr std::int64_t most_together = 512;

void fill(const TensorView& tensor, std::span<const std::int32_t> values) {
  std::memcpy(tensor.data, values.data(), values.size_bytes());
}

}  // namespace

Encoder::Encoder(const Metadata& metadata, std::span<const WeightSpec> specs,
                 const Weights& weights, runtime::SessionOptions options)
    : config_(encoder_config(metadata, shapes_of(specs))),
      specs_(specs.begin(), specs.end()),
      weights_(&weights),
      options_(std::move(options)) {
  values_ = build_encoder(graph_, config_, specs_, true);
}

void Encoder::check(std::span<const std::int32_t> tokens, std::size_t index) const {
  const std::string text = "text " + std::to_string(index) + ": ";
  if (tokens.empty()) throw Error(ErrorKind::invalid, text + "has no tokens");
  if (static_cast<std::int64_t>(tokens.size()) > config_.positions) {
    throw Error(ErrorKind::invalid, text + std::to_string(tokens.size()) +
                                        " tokens, and the model has positions for " +
                                        std::to_string(config_.positions));
  }
  naming("text " + std::to_string(index), [&] { check_tokens(tokens, config_.vocab); });
}

// Of one text's states [tokens, hidden]; sums in float64, so that long texts lose nothing.
void Encoder::pool(std::span<const float> rows, float* to) const {
  const auto width = static_cast<std::size_t>(config_.hidden);
  const bool cls = config_.pooling == EncoderConfig::Pooling::cls;
  const std::size_t count = cls ? 1 : rows.size() / width;
  std::vector<double> sums(width);
  for (std::size_t r = 0; r < count; ++r) {
    for (std::size_t d = 0; d < width; ++d) sums[d] += static_cast<double>(rows[r * width + d]);
  }
  double square = 0;
  for (double& sum : sums) {
    sum /= static_cast<double>(count);
    square += sum * sum;
  }
  // as torch's normalize: a vector of zeros stays one
  constexpr double least_length = 1e-12;
  const double length = config_.normalize ? std::max(std::sqrt(square), least_length) : 1;
  for (std::size_t d = 0; d < width; ++d) to[d] = static_cast<float>(sums[d] / length);
}

// A session for so many tokens and bounds of texts, and for what there was room for before.
void Encoder::make_room(std::int64_t tokens, std::int64_t bounds) {
  runtime::SessionOptions options = options_;
  options.bounds = {tokens, bounds};
  if (session_) {
    const std::vector<std::int64_t>& before = session_->options().bounds;
    if (tokens <= before[0] && bounds <= before[1]) return;
    for (std::size_t i = 0; i < before.size(); ++i) {
      options.bounds[i] = std::max(options.bounds[i], before[i]);
    }
  }
  earlier_ = profile();
  session_.reset();  // two at a time would take more memory than either
  session_ = std::make_unique<runtime::Session>(graph_, std::span(&values_.hidden, 1),
                                                weights_->bindings(graph_), std::move(options));
}

Embeddings Encoder::embed(std::span<const std::vector<std::int32_t>> texts,
                          const OnProgress& progress) {
  for (std::size_t i = 0; i < texts.size(); ++i) check(texts[i], i);
  std::vector<std::size_t> order(texts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return texts[a].size() < texts[b].size(); });
  Embeddings result;
  result.width = config_.hidden;
  const auto width = static_cast<std::size_t>(config_.hidden);
  result.values.resize(texts.size() * width);

  // where batches end, and the largest of them: memory is planned once
  std::vector<std::size_t> ends;
  std::int64_t tokens = 0, largest = 1, most_bounds = 2;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto length = static_cast<std::int64_t>(texts[order[i]].size());
    if (tokens > 0 && tokens + length > most_together) {
      ends.push_back(i);
      tokens = 0;
    }
    tokens += length;
    largest = std::max(largest, tokens);
    const std::size_t first = ends.empty() ? 0 : ends.back();
    most_bounds = std::max(most_bounds, static_cast<std::int64_t>(i - first + 2));
  }
  if (!order.empty()) ends.push_back(order.size());

  std::vector<std::int32_t> ids, positions, starts;
  std::size_t begin = 0;
  for (const std::size_t end : ends) {
    ids.clear();
    positions.clear();
    starts.assign(1, 0);
    for (std::size_t i = begin; i < end; ++i) {
      const std::vector<std::int32_t>& text = texts[order[i]];
      ids.insert(ids.end(), text.begin(), text.end());
      for (std::size_t p = 0; p < text.size(); ++p) {
        positions.push_back(static_cast<std::int32_t>(p));
      }
      starts.push_back(static_cast<std::int32_t>(ids.size()));
    }
    const std::vector<std::int32_t> types(ids.size());
    make_room(largest, most_bounds);
    const std::int64_t symbols[] = {static_cast<std::int64_t>(ids.size()),
                                    static_cast<std::int64_t>(starts.size())};
    session_->resize(symbols);
    fill(session_->tensor(values_.tokens), ids);
    fill(session_->tensor(values_.positions), positions);
    fill(session_->tensor(values_.token_types), types);
    fill(session_->tensor(values_.sequences), starts);
    session_->run();
    const auto* const hidden = session_->tensor(values_.hidden).as<const float>();
    for (std::size_t i = begin; i < end; ++i) {
      const auto first = static_cast<std::size_t>(starts[i - begin]);
      const std::size_t count = texts[order[i]].size();
      pool({hidden + first * width, count * width}, result.values.data() + order[i] * width);
    }
    begin = end;
    if (progress) {
      progress(static_cast<std::int64_t>(end), static_cast<std::int64_t>(order.size()));
    }
  }
  return result;
}

std::vector<float> Encoder::attention(std::span<const std::int32_t> tokens,
                                      std::span<const int> layers) {
  check(tokens, 0);
  runtime::Graph graph;
  const EncoderGraph values = build_encoder(graph, config_, specs_, false);
  std::vector<ValueId> fetches;
  for (const int layer : layers) {
    fetches.push_back(values.attention.at(static_cast<std::size_t>(layer)));
  }
  runtime::SessionOptions options = options_;
  const auto count = static_cast<std::int64_t>(tokens.size());
  options.bounds = {count};
  runtime::Session session(graph, fetches, weights_->bindings(graph), std::move(options));
  session.resize(std::span(&count, 1));
  std::vector<std::int32_t> positions(tokens.size());
  std::iota(positions.begin(), positions.end(), 0);
  fill(session.tensor(values.tokens), tokens);
  fill(session.tensor(values.positions), positions);
  fill(session.tensor(values.token_types), std::vector<std::int32_t>(tokens.size()));
  session.run();
  std::vector<float> maps;
  for (const ValueId fetch : fetches) {
    const TensorView& weights = session.tensor(fetch);
    const auto* const from = weights.as<const float>();
    maps.insert(maps.end(), from, from + weights.elements());
  }
  return maps;
}

std::vector<OpProfile> Encoder::profile() const {
  std::vector<OpProfile> rows = earlier_;
  if (session_ && options_.profile) add_profile(rows, *session_);
  return rows;
}

}  // namespace attn::models
