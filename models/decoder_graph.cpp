#include "models/decoder_graph.hpp"

#include "attn/error.hpp"
#include "models/lora/adapted.hpp"
#include "runtime/ops.hpp"

namespace attn::models {
namespace {

using namespace runtime;

constexpr const char* head_name = "lm_head.weight";
constexpr const char* embedding_name = "model.embed_tokens.weight";

std::string layer_name(int layer) { return "model.layers." + std::to_string(layer) + "."; }

// Where keys and values of a run come together with those before.
enum class Cached { nowhere, packed, in_one, in_slots };
struct Cache {
  Cached kind = Cached::nowhere;
  DType type = DType::f32;
  Symbol context{}, slots{}, capacity{};
  ValueId runs = ValueId::none;
};

class Builder {
 public:
  Builder(Graph& graph, const DecoderConfig& config, std::span<const WeightSpec> specs)
      : graph_(graph), config_(config), specs_(specs) {}

  DecoderGraph build(Cached kind, DType type = DType::f32) {
    check_cache(type);
    DecoderGraph out;
    const Symbol tokens = graph_.symbol("tokens");
    cache_.kind = kind;
    cache_.type = type;
    Dim wanted = tokens;
    if (kind == Cached::in_one) {
      cache_.context = graph_.symbol("context");
      cache_.capacity = graph_.symbol("capacity");
      wanted = graph_.symbol("wanted");
    }
    if (kind == Cached::in_slots) {
      const Symbol runs = graph_.symbol("runs");
      cache_.slots = graph_.symbol("slots");
      cache_.capacity = graph_.symbol("capacity");
      wanted = graph_.symbol("wanted");
      out.runs = cache_.runs = graph_.input("runs", DType::i32, Shape{runs, 4});
      out.rows = graph_.input("rows", DType::i32, Shape{wanted});
    }
    if (kind == Cached::packed) {
      sequences_ = out.sequences =
          graph_.input("sequences", DType::i32, Shape{graph_.symbol("bounds")});
    }
    out.tokens = graph_.input("tokens", DType::i32, Shape{tokens});
    out.positions = graph_.input("positions", DType::i32, Shape{tokens});
    const ValueId embedding = declare(graph_, specs_, embedding_name);
    ValueId x = gather(graph_, embedding, out.tokens);
    table_ = rope_table(graph_, out.positions, config_.rope_frequencies, config_.rope_layout,
                        graph_.value(x).dtype);
    out.between_layers.push_back(x);
    for (int l = 0; l < config_.layers; ++l) {
      x = layer(l, x, out);
      out.between_layers.push_back(x);
    }
    if (kind == Cached::in_one) x = last(graph_, x, 0, wanted);
    if (kind == Cached::in_slots) x = gather(graph_, x, out.rows);
    x = rms_norm(graph_, x, declare(graph_, specs_, "model.norm.weight"), config_.eps);
    out.hidden = x;
    out.head =
        find_spec(specs_, head_name) != nullptr ? declare(graph_, specs_, head_name) : embedding;
    return out;
  }

 private:
  void check_cache(DType type) const {
    const std::int64_t block = dtype_block(type);
    if (config_.head_dim % block == 0) return;
    throw Error(ErrorKind::usage, "a cache of " + std::string(dtype_name(type)) +
                                      " needs a head_dim in whole blocks of " +
                                      std::to_string(block) + ", and the model's is " +
                                      std::to_string(config_.head_dim));
  }

  ValueId project(ValueId x, const std::string& name) {
    const std::string bias = name + ".bias";
    const ValueId y =
        linear(graph_, x, declare(graph_, specs_, name + ".weight"),
               find_spec(specs_, bias) != nullptr ? declare(graph_, specs_, bias) : ValueId::none);
    return adapted(graph_, specs_, name, x, y);
  }

  ValueId cached(ValueId rows, const std::string& name) {
    if (cache_.kind == Cached::nowhere || cache_.kind == Cached::packed) return rows;
    const std::int64_t width = std::int64_t{config_.kv_heads} * config_.head_dim;
    if (cache_.kind == Cached::in_slots) {
      const Shape shape{cache_.slots, cache_.capacity, width};
      return append_runs(graph_, graph_.state(name, cache_.type, shape), rows, cache_.runs);
    }
    const ValueId state = graph_.state(name, cache_.type, Shape{cache_.capacity, width});
    return append(graph_, state, rows, cache_.context);
  }

  ValueId attend(ValueId q, ValueId k, ValueId v, DecoderGraph& out) {
    AttentionAttributes attributes;
    attributes.heads = config_.heads;
    attributes.kv_heads = config_.kv_heads;
    attributes.causal = true;
    attributes.window = config_.window;
    if (cache_.kind == Cached::in_slots) {
      return attention_runs(graph_, q, k, v, cache_.runs, attributes);
    }
    const AttentionValues attended =
        attention(graph_, q, k, v, attributes, ValueId::none, sequences_);
    out.attention.push_back(attended.weights);
    return attended.output;
  }

  ValueId layer(int number, ValueId x, DecoderGraph& out) {
    const std::string name = layer_name(number);
    const auto norm = [&](ValueId value, const char* which) {
      return rms_norm(graph_, value, declare(graph_, specs_, name + which), config_.eps);
    };
    ValueId h = norm(x, "input_layernorm.weight");
    const RopeAttributes turned_q{config_.heads, config_.rope_layout};
    const RopeAttributes turned_k{config_.kv_heads, config_.rope_layout};
    const ValueId q = rope(graph_, project(h, name + "self_attn.q_proj"), table_, turned_q);
    const ValueId k = rope(graph_, project(h, name + "self_attn.k_proj"), table_, turned_k);
    const ValueId v = project(h, name + "self_attn.v_proj");
    const ValueId attended = attend(q, cached(k, name + "keys"), cached(v, name + "values"), out);
    x = add(graph_, project(attended, name + "self_attn.o_proj"), x);
    h = norm(x, "post_attention_layernorm.weight");
    const ValueId gated =
        gated_silu(graph_, project(h, name + "mlp.gate_proj"), project(h, name + "mlp.up_proj"));
    return add(graph_, project(gated, name + "mlp.down_proj"), x);
  }

  Graph& graph_;
  const DecoderConfig& config_;
  std::span<const WeightSpec> specs_;
  ValueId table_ = ValueId::none, sequences_ = ValueId::none;
  Cache cache_;
};

DecoderGraph with_logits(Graph& graph, DecoderGraph values) {
  values.logits = linear(graph, values.hidden, values.head);
  return values;
}

}  // namespace

std::vector<WeightSpec> decoder_weights(const DecoderConfig& c, const Shapes& have, bool biases) {
  std::vector<WeightSpec> specs;
  const auto matrix = [&](const std::string& name, std::int64_t out, std::int64_t in) {
    specs.push_back(stored_weight(name, {out, in}));
  };
  const auto row = [&](const std::string& name, std::int64_t width) {
    specs.push_back(expanded_weight(name, {width}));
  };
  const std::int64_t q_width = std::int64_t{c.heads} * c.head_dim;
  const std::int64_t kv_width = std::int64_t{c.kv_heads} * c.head_dim;
  matrix(embedding_name, c.vocab, c.hidden);
  for (int l = 0; l < c.layers; ++l) {
    const std::string name = layer_name(l);
    row(name + "input_layernorm.weight", c.hidden);
    matrix(name + "self_attn.q_proj.weight", q_width, c.hidden);
    matrix(name + "self_attn.k_proj.weight", kv_width, c.hidden);
    matrix(name + "self_attn.v_proj.weight", kv_width, c.hidden);
    matrix(name + "self_attn.o_proj.weight", c.hidden, q_width);
    if (biases) {
      row(name + "self_attn.q_proj.bias", q_width);
      row(name + "self_attn.k_proj.bias", kv_width);
      row(name + "self_attn.v_proj.bias", kv_width);
    }
    row(name + "post_attention_layernorm.weight", c.hidden);
    matrix(name + "mlp.gate_proj.weight", c.intermediate, c.hidden);
    matrix(name + "mlp.up_proj.weight", c.intermediate, c.hidden);
    matrix(name + "mlp.down_proj.weight", c.hidden, c.intermediate);
  }
  row("model.norm.weight", c.hidden);
  if (have.contains(head_name)) matrix(head_name, c.vocab, c.hidden);
  return specs;
}

DecoderGraph build_decoder(Graph& graph, const DecoderConfig& config,
                           std::span<const WeightSpec> specs, DType cache) {
  return with_logits(graph, Builder(graph, config, specs).build(Cached::in_one, cache));
}

DecoderGraph build_trained_decoder(Graph& graph, const DecoderConfig& config,
                                   std::span<const WeightSpec> specs, bool packed) {
  return Builder(graph, config, specs).build(packed ? Cached::packed : Cached::nowhere);
}

DecoderGraph build_batch_decoder(Graph& graph, const DecoderConfig& config,
                                 std::span<const WeightSpec> specs, DType cache) {
  return with_logits(graph, Builder(graph, config, specs).build(Cached::in_slots, cache));
}

void build_plain_decoder(Graph& graph, const Metadata& metadata, std::span<const WeightSpec> specs,
                         bool /*batched*/) {
  const DecoderConfig config = decoder_config(metadata, shapes_of(specs));
  const DecoderGraph values =
      with_logits(graph, build_trained_decoder(graph, config, specs, false));
  graph.output("logits", values.logits);
}

}  // namespace attn::models
