// BERT and its relatives (MiniLM): learned positions, norms after each sublayer, attention both
// ways.

#include "models/architectures.hpp"
#include "models/encoder_graph.hpp"
#include "models/lora/adapted.hpp"
#include "runtime/ops.hpp"

namespace attn::models {
namespace {

using namespace runtime;

std::string layer_name(int layer) { return "encoder.layer." + std::to_string(layer) + "."; }

std::vector<WeightSpec> weights(const Metadata& metadata, const Shapes& have) {
  const EncoderConfig c = encoder_config(metadata, have);
  std::vector<WeightSpec> specs;
  const auto dense = [&](const std::string& name, std::int64_t out, std::int64_t in) {
    specs.push_back(stored_weight(name + ".weight", {out, in}));
    specs.push_back(expanded_weight(name + ".bias", {out}));
  };
  const auto norm = [&](const std::string& name) {
    specs.push_back(expanded_weight(name + ".weight", {c.hidden}));
    specs.push_back(expanded_weight(name + ".bias", {c.hidden}));
  };
  const auto table = [&](const std::string& name, std::int64_t rows) {
    specs.push_back(stored_weight("embeddings." + name + "_embeddings.weight", {rows, c.hidden}));
  };
  table("word", c.vocab);
  table("position", c.positions);
  table("token_type", c.token_types);
  norm("embeddings.LayerNorm");
  for (int l = 0; l < c.layers; ++l) {
    const std::string name = layer_name(l);
    for (const char* part : {"query", "key", "value"}) {
      dense(name + "attention.self." + part, c.hidden, c.hidden);
    }
    dense(name + "attention.output.dense", c.hidden, c.hidden);
    norm(name + "attention.output.LayerNorm");
    dense(name + "intermediate.dense", c.intermediate, c.hidden);
    dense(name + "output.dense", c.hidden, c.intermediate);
    norm(name + "output.LayerNorm");
  }
  return specs;
}

class Builder {
 public:
  Builder(Graph& graph, const EncoderConfig& config, std::span<const WeightSpec> specs)
      : graph_(graph), config_(config), specs_(specs) {}

  EncoderGraph build(bool packed) {
    EncoderGraph out;
    const Symbol tokens = graph_.symbol("tokens");
    out.tokens = graph_.input("tokens", DType::i32, Shape{tokens});
    out.positions = graph_.input("positions", DType::i32, Shape{tokens});
    out.token_types = graph_.input("token_types", DType::i32, Shape{tokens});
    if (packed) {
      out.sequences = graph_.input("sequences", DType::i32, Shape{graph_.symbol("bounds")});
    }
    const auto looked_up = [&](const std::string& name, ValueId ids) {
      return gather(graph_, weight("embeddings." + name + "_embeddings.weight"), ids);
    };
    ValueId x = add(graph_, looked_up("word", out.tokens), looked_up("position", out.positions));
    x = add(graph_, x, looked_up("token_type", out.token_types));
    x = norm(x, "embeddings.LayerNorm");
    out.between_layers.push_back(x);
    for (int l = 0; l < config_.layers; ++l) {
      x = layer(layer_name(l), x, out);
      out.between_layers.push_back(x);
    }
    out.hidden = x;
    return out;
  }

 private:
  ValueId weight(const std::string& name) { return declare(graph_, specs_, name); }
  ValueId norm(ValueId x, const std::string& name) {
    return layer_norm(graph_, x, weight(name + ".weight"), weight(name + ".bias"), config_.eps);
  }
  // The activation is part of the product where nothing comes between.
  ValueId dense(ValueId x, const std::string& name,
                std::optional<kernels::Unary> activation = std::nullopt) {
    MatmulAttributes attributes{.transpose_b = true};
    const bool alone = has_adapter(specs_, name);
    if (!alone) attributes.activation = activation;
    const ValueId y =
        matmul(graph_, x, weight(name + ".weight"), attributes, weight(name + ".bias"));
    if (!alone || !activation) return adapted(graph_, specs_, name, x, y);
    return unary(graph_, *activation, adapted(graph_, specs_, name, x, y));
  }

  ValueId layer(const std::string& name, ValueId x, EncoderGraph& out) {
    AttentionAttributes attributes;
    attributes.heads = attributes.kv_heads = config_.heads;
    const std::string self = name + "attention.self.";
    const AttentionValues attended =
        attention(graph_, dense(x, self + "query"), dense(x, self + "key"),
                  dense(x, self + "value"), attributes, ValueId::none, out.sequences);
    out.attention.push_back(attended.weights);
    x = norm(add(graph_, dense(attended.output, name + "attention.output.dense"), x),
             name + "attention.output.LayerNorm");
    const ValueId wide = dense(x, name + "intermediate.dense", config_.activation);
    return norm(add(graph_, dense(wide, name + "output.dense"), x), name + "output.LayerNorm");
  }

  Graph& graph_;
  const EncoderConfig& config_;
  std::span<const WeightSpec> specs_;
};

void build(Graph& graph, const Metadata& metadata, std::span<const WeightSpec> specs,
           bool /*batched*/) {
  const EncoderConfig config = encoder_config(metadata, shapes_of(specs));
  graph.output("hidden", build_encoder(graph, config, specs, false).hidden);
}

}  // namespace

EncoderGraph build_encoder(Graph& graph, const EncoderConfig& config,
                           std::span<const WeightSpec> specs, bool packed) {
  return Builder(graph, config, specs).build(packed);
}

const Architecture bert{
    .name = "bert", .weights = weights, .build = build, .purpose = Purpose::encoder};

}  // namespace attn::models
