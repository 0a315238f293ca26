#include "models/training/tune_graph.hpp"

#include "attn/error.hpp"
#include "models/decoder_graph.hpp"
#include "models/encoder_graph.hpp"
#include "models/lora/adapted.hpp"
#include "runtime/ops.hpp"

#include <string>

namespace attn::models {
namespace {

using namespace runtime;

class Builder {
 public:
  Builder(TuneGraph& to, const Metadata& metadata, std::span<const WeightSpec> specs,
          const TuneGoal& goal)
      : to_(to), graph_(to.graph), metadata_(metadata), specs_(specs), goal_(goal) {
    if (goal.dropout) to_.dropout = graph_.input(dropout_input, DType::i32, Shape{1});
  }

  void language() {
    DecoderConfig config = decoder_config(metadata_, shapes_of(specs_));
    config.window = 0;  // no example is longer: see Trainer, which it would hide something from
    const bool attends = goal_.task == TuneTask::attention;
    const DecoderGraph trunk = build_trained_decoder(graph_, config, specs_, !attends);
    to_.tokens = trunk.tokens;
    to_.positions = trunk.positions;
    to_.sequences = trunk.sequences;
    to_.between_layers = trunk.between_layers;
    if (goal_.language) {
      const Shape tokens{graph_.value(to_.tokens).shape[0]};
      to_.targets = graph_.input("targets", DType::i32, tokens);
      to_.scale = graph_.input("scale", DType::f64, Shape{1});
      to_.language_loss = head_loss(graph_, trunk.hidden, trunk.head, to_.targets, to_.scale);
      to_.loss = to_.language_loss;
    }
    if (attends) attention(trunk.attention, config.heads, graph_.value(trunk.hidden).dtype);
  }

  void encoder_attention() {
    const EncoderConfig config = encoder_config(metadata_, shapes_of(specs_));
    const EncoderGraph trunk = encoder(config, false);
    attention(trunk.attention, config.heads, graph_.value(trunk.hidden).dtype);
  }

  void similarity() {
    const EncoderConfig config = encoder_config(metadata_, shapes_of(specs_));
    const EncoderGraph trunk = encoder(config, true);
    const DType number = graph_.value(trunk.hidden).dtype;
    const Symbol texts = graph_.symbol("texts"), pairs = graph_.symbol("pairs");
    // rows of length √width, so that a cosine is their product / width
    const ValueId rows =
        rms_norm(graph_, pooled(config, trunk, texts), ValueId::none, least_square);
    const ValueId a = first(graph_, rows, 0, pairs), b = last(graph_, rows, 0, pairs);
    const double width = static_cast<double>(config.hidden);
    to_.cosines = affine(
        graph_, reduce(graph_, kernels::Reduce::sum, binary(graph_, kernels::Binary::mul, a, b)),
        1 / width, 0);
    if (goal_.scored) {
      to_.scores = graph_.input("scores", number, Shape{pairs});
      to_.shares = graph_.input("shares", number, Shape{pairs});
      const ValueId off = binary(graph_, kernels::Binary::sub, to_.cosines, to_.scores);
      to_.loss = dot(graph_, binary(graph_, kernels::Binary::mul, off, off), to_.shares);
    } else {
      to_.targets = graph_.input("targets", DType::i32, Shape{pairs});
      to_.scale = graph_.input("scale", DType::f64, Shape{1});
      to_.loss = head_loss(graph_, a, b, to_.targets, to_.scale, {.alpha = cosine_scale / width});
    }
  }

 private:
  // a mean square that no embedding is near: texts of zeros stay zeros
  static constexpr double least_square = 1e-20;

  EncoderGraph encoder(const EncoderConfig& config, bool packed) {
    EncoderGraph trunk = build_encoder(graph_, config, specs_, packed);
    to_.tokens = trunk.tokens;
    to_.positions = trunk.positions;
    to_.token_types = trunk.token_types;
    to_.sequences = trunk.sequences;
    to_.between_layers = trunk.between_layers;
    return trunk;
  }

  // A row a text, as Model::embed() has them.
  ValueId pooled(const EncoderConfig& config, const EncoderGraph& trunk, Symbol texts) {
    if (config.pooling == EncoderConfig::Pooling::mean) {
      return mean_rows(graph_, trunk.hidden, trunk.sequences, texts);
    }
    to_.first_rows = graph_.input("first_rows", DType::i32, Shape{texts});
    return gather(graph_, trunk.hidden, to_.first_rows);
  }

  // What the last token's queries give, in every chosen layer.
  void attention(const std::vector<ValueId>& by_layer, int heads, DType number) {
    const Dim tokens = graph_.value(to_.tokens).shape[0];
    to_.coefficients = graph_.input("coefficients", number, Shape{heads, tokens});
    to_.looking = graph_.input("looking", number, Shape{heads, tokens});
    for (const int layer : goal_.layers) {
      const ValueId weights = by_layer.at(static_cast<std::size_t>(layer));
      const ValueId rows = reshape(graph_, last(graph_, weights, 1, 1), Shape{heads, tokens});
      const auto summed = [&](ValueId sum, ValueId coefficients) {
        const ValueId more = dot(graph_, rows, coefficients);
        return sum == ValueId::none ? more : add(graph_, sum, more);
      };
      to_.attention_loss = summed(to_.attention_loss, to_.coefficients);
      to_.looked_at = summed(to_.looked_at, to_.looking);
    }
    const ValueId weighted = affine(graph_, to_.attention_loss, goal_.attention_weight, 0);
    to_.loss = goal_.language ? add(graph_, to_.loss, weighted) : weighted;
  }

  TuneGraph& to_;
  Graph& graph_;
  const Metadata& metadata_;
  std::span<const WeightSpec> specs_;
  const TuneGoal& goal_;
};

}  // namespace

std::vector<ValueId> TuneGraph::results() const {
  std::vector<ValueId> all{loss};
  for (const ValueId id : {language_loss, attention_loss, looked_at, cosines}) {
    if (id != ValueId::none && id != loss) all.push_back(id);
  }
  return all;
}

void build_tune_graph(TuneGraph& to, const Architecture& kind, const Metadata& metadata,
                      std::span<const WeightSpec> specs, const TuneGoal& goal) {
  const auto require = [&](bool ok, const char* what) {
    if (ok) return;
    throw Error(ErrorKind::usage,
                std::string(what) + ", and this is a " + std::string(kind.name) + " model");
  };
  const bool encodes = kind.purpose == Purpose::encoder;
  require(encodes || kind.purpose == Purpose::language,
          "tuning needs a language model or an encoder");
  Builder builder(to, metadata, specs, goal);
  if (goal.task == TuneTask::similarity) {
    require(encodes, "tuning for similarity needs an encoder");
    return builder.similarity();
  }
  require(!encodes || !goal.language, "tuning for language needs a language model");
  if (encodes) return builder.encoder_attention();
  builder.language();
}

}  // namespace attn::models
