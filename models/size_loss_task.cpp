#include "models/size_loss_task.hpp"

#include "attn/error.hpp"
#include "models/size_loss_attention.hpp"
#include "runtime/autodiff.hpp"
#include "runtime/formats/text.hpp"
#include "runtime/ops.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace attn::models {

using namespace runtime;

SizeLossGraph build_size_loss(Graph& graph, const Metadata& metadata,
                              std::span<const WeightSpec> specs) {
  SizeLossGraph size;
  const WordAttention words = build_word_attention(graph, metadata, specs);
  size.tokens = words.tokens;
  size.attention_weights = words.attention_weights;
  size.coefficients =
      graph.input("coefficients", DType::f32, graph.value(words.attention_weights).shape);
  size.step = graph.input("step", DType::i32, Shape{1});
  size.rate = graph.input("rate", DType::f64, Shape{1});
  // mean(1 − aᵢ) + mean(aⱼ) = 1 + Σ c a, with c = −1/|size words| there and 1/|others| elsewhere
  size.loss = affine(graph, dot(graph, words.attention_weights, size.coefficients), 1, 1);

  std::vector<ValueId> weights;
  for (const WeightSpec& spec : specs) weights.push_back(graph.find(Role::weight, spec.name));
  const std::vector<ValueId> all = gradients(graph, size.loss, weights);
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i] == ValueId::none)
      continue;  // W_v shapes the context only, which the loss never sees
    size.trained.push_back(specs[i].name);
    size.gradients.push_back(all[i]);
  }
  for (std::size_t i = 0; i < size.trained.size(); ++i) {
    const ValueId weight = graph.find(Role::weight, size.trained[i]);
    size.updates.push_back(adam(graph, weight, size.gradients[i], size.step, size.rate));
  }
  return size;
}

SizeLossData prepare_size_loss(const Vocabulary& vocabulary, const std::string& sentence,
                               std::span<const std::string> size_words) {
  SizeLossData data;
  data.ids = vocabulary.encode(sentence);
  data.tokens = split_words(sentence);
  if (size_words.empty()) {
    throw Error(ErrorKind::invalid,
                "size words: there are none; name some of the sentence's words");
  }
  for (const std::string& word : size_words) {
    if (std::find(data.tokens.begin(), data.tokens.end(), word) == data.tokens.end()) {
      throw Error(ErrorKind::invalid, "size words: " + quote(word) + " is not in the sentence");
    }
  }
  std::size_t chosen = 0;
  for (const std::string& token : data.tokens) {
    const bool is = std::find(size_words.begin(), size_words.end(), token) != size_words.end();
    data.is_size_word.push_back(is);
    chosen += is ? 1 : 0;
  }
  const std::size_t others = data.tokens.size() - chosen;
  if (others == 0) {
    throw Error(ErrorKind::invalid,
                "size words: the sentence has no other words to turn away from");
  }
  for (const bool is : data.is_size_word) {
    data.coefficients.push_back(is ? -1.0F / static_cast<float>(chosen)
                                   : 1.0F / static_cast<float>(others));
  }
  return data;
}

TrainResult train_size_loss(const Metadata& metadata, std::span<const WeightSpec> specs,
                            Weights& weights, const SizeLossData& data, const TrainOptions& options,
                            SessionOptions session_options) {
  Graph graph;
  const SizeLossGraph size = build_size_loss(graph, metadata, specs);
  const std::int64_t n = static_cast<std::int64_t>(data.ids.size());
  session_options.bounds = {n};
  const std::vector<Binding> bindings = weights.bindings(graph);

  std::vector<ValueId> fetches = size.updates;
  fetches.push_back(size.loss);
  fetches.push_back(size.attention_weights);
  Session session(graph, fetches, bindings, session_options);
  session.resize(session_options.bounds);
  const auto fill = [&](Session& to) {
    std::memcpy(to.tensor(size.tokens).data, data.ids.data(),
                data.ids.size() * sizeof(data.ids[0]));
  };
  fill(session);
  std::memcpy(session.tensor(size.coefficients).data, data.coefficients.data(),
              data.coefficients.size() * sizeof(float));
  *session.tensor(size.rate).as<double>() = options.learning_rate;
  auto* const step = session.tensor(size.step).as<std::int32_t>();
  const auto* const loss = session.tensor(size.loss).as<const float>();
  const std::span<const float> attention(session.tensor(size.attention_weights).as<const float>(),
                                         data.ids.size());

  TrainResult result;
  result.tokens = data.tokens;
  result.is_size_word = data.is_size_word;
  for (int epoch = 0; epoch < options.epochs && !result.stopped; ++epoch) {
    *step = epoch + 1;
    session.run();
    if (!std::isfinite(*loss)) {
      throw Error(ErrorKind::numerical, "training: the loss of epoch " + std::to_string(epoch) +
                                            " is " + std::to_string(*loss));
    }
    result.losses.push_back(*loss);
    if (epoch == 0) result.attention_weights_before.assign(attention.begin(), attention.end());
    if (options.on_epoch) {
      result.stopped = !options.on_epoch({epoch, options.epochs, *loss, attention});
    }
  }

  Session forward(graph, std::span(&size.attention_weights, 1), bindings, session_options);
  forward.resize(session_options.bounds);
  fill(forward);
  forward.run();
  const auto* const after = forward.tensor(size.attention_weights).as<const float>();
  result.attention_weights_after.assign(after, after + n);
  if (options.epochs == 0) result.attention_weights_before = result.attention_weights_after;
  for (std::size_t i = 0; i < data.ids.size(); ++i) {
    if (!std::isfinite(after[i])) {
      throw Error(ErrorKind::numerical, "training: the weights are no longer finite");
    }
    if (data.is_size_word[i]) result.combined_size_weight += static_cast<double>(after[i]);
  }
  return result;
}

}  // namespace attn::models
