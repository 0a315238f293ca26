// Words as embeddings, and the last word's query over all of them: small enough to watch, and the
// model of the size-loss task (size_loss_task.cpp).

#include "models/size_loss_attention.hpp"

#include "attn/error.hpp"
#include "models/architectures.hpp"
#include "models/words.hpp"
#include "runtime/ops.hpp"

#include <array>
#include <cmath>

namespace attn::models {
namespace {

std::vector<WeightSpec> specs(std::int64_t vocab, std::int64_t d) {
  return {{"embedding.weight", {vocab, d}, Initial::normal, 1},
          square_projection("W_q.weight", d),
          square_projection("W_k.weight", d),
          square_projection("W_v.weight", d)};
}

std::vector<WeightSpec> weights(const Metadata& metadata, const Shapes& have) {
  (void)metadata.scale();
  const Vocabulary vocabulary(metadata.strings("attn.vocab"));
  const Dims& shape = required_shape(have, "embedding.weight", 2);
  const auto words = static_cast<std::int64_t>(vocabulary.words().size());
  if (words != shape[0]) {
    throw Error(ErrorKind::invalid, "metadata 'attn.vocab' has " + std::to_string(words) +
                                        " words, tensor 'embedding.weight' " +
                                        std::to_string(shape[0]) + " rows");
  }
  if (metadata.has("attn.size_words")) (void)metadata.strings("attn.size_words");
  return specs(words, shape[1]);
}

Created create(const Metadata& parameters) {
  refuse_unknown(parameters, std::array<std::string_view, 4>{"sentence", "size_words",
                                                             "embedding_dim", "attn.scale"});
  Created created;
  const std::string& sentence = parameters.text("sentence");
  const Vocabulary vocabulary = Vocabulary::of(sentence);
  (void)vocabulary.encode(sentence);  // an empty sentence is refused
  std::vector<std::string> size_words;
  std::string rest = parameters.has("size_words") ? parameters.text("size_words") : "";
  for (std::size_t at = 0; at < rest.size();) {
    const std::size_t comma = std::min(rest.find(',', at), rest.size());
    for (std::string& word : split_words(std::string_view(rest).substr(at, comma - at))) {
      size_words.push_back(std::move(word));
    }
    at = comma + 1;
  }
  created.metadata.set("attn.vocab", to_json(vocabulary.words()));
  created.metadata.set("attn.size_words", to_json(size_words));
  created.metadata.set("attn.sentence", to_json(sentence));
  take_scale(parameters, created.metadata);
  created.weights = specs(static_cast<std::int64_t>(vocabulary.words().size()),
                          size_parameter(parameters, "embedding_dim"));
  return created;
}

void build(runtime::Graph& graph, const Metadata& metadata, std::span<const WeightSpec> specs,
           bool /*batched*/) {
  const WordAttention words = build_word_attention(graph, metadata, specs);
  graph.output("attention_weights", words.attention_weights);
  graph.output("context_vector", words.context_vector);
}

}  // namespace

WordAttention build_word_attention(runtime::Graph& graph, const Metadata& metadata,
                                   std::span<const WeightSpec> specs) {
  using namespace runtime;
  const std::int64_t d = specs[0].shape[1];
  const Symbol n = graph.symbol("n");
  const ValueId tokens = graph.input("tokens", DType::i32, Shape{n});
  const ValueId x = gather(graph, declare(graph, specs, "embedding.weight"), tokens);
  const ValueId q = linear(graph, last(graph, x, 0, 1), declare(graph, specs, "W_q.weight"));
  const ValueId k = linear(graph, x, declare(graph, specs, "W_k.weight"));
  const ValueId v = linear(graph, x, declare(graph, specs, "W_v.weight"));
  const double scale = metadata.scale().value_or(1 / std::sqrt(static_cast<double>(d)));
  // written out, not the fused op: training needs the weights alone, and the nodes that only the
  // context needs then do not run
  const ValueId scores = matmul(graph, q, k, {.transpose_b = true, .alpha = scale});
  const ValueId weights = softmax(graph, scores);
  return {tokens, reshape(graph, weights, Shape{n}),
          reshape(graph, matmul(graph, weights, v), Shape{d})};
}

const Architecture size_loss_attention{
    .name = "size_loss_attention", .weights = weights, .create = create, .build = build};

}  // namespace attn::models
