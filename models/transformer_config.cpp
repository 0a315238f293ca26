#include "models/transformer_config.hpp"

#include "attn/error.hpp"
#include "runtime/formats/json.hpp"
#include "runtime/formats/text.hpp"

#include <cmath>
#include <numbers>

namespace attn::models {
namespace {

using runtime::Json;

// Bounds that no model reaches and no product of them exceeds 64 bits.
constexpr std::int64_t most_layers = 4096, most_heads = 4096, most_width = 1 << 20;
constexpr std::int64_t most_tokens = 1 << 26;  // of a vocabulary, or a context

[[noreturn]] void fail(const std::string& problem) { throw Error(ErrorKind::invalid, problem); }

double scaling_number(const Json& scaling, const char* key) {
  const std::string where = "metadata 'attn.rope_scaling'";
  const Json& value = runtime::json_member(scaling, key, where);
  if (!value.is_number() || !(value.get<double>() > 0)) {
    fail(where + ": " + key + ": " + runtime::json_text(value) + " is no number above 0");
  }
  return value.get<double>();
}

// Frequencies that are low against the context a model was first trained on are divided by the
// factor, high ones kept, those between blended (transformers, _compute_llama3_parameters).
double llama3_scaled(double frequency, const Json& scaling) {
  const double factor = scaling_number(scaling, "factor");
  const double low = scaling_number(scaling, "low_freq_factor");
  const double high = scaling_number(scaling, "high_freq_factor");
  const double context = scaling_number(scaling, "original_max_position_embeddings");
  const double wavelength = 2 * std::numbers::pi / frequency;
  if (wavelength < context / high) return frequency;
  if (wavelength > context / low) return frequency / factor;
  const double smooth = (context / wavelength - low) / (high - low);
  return (1 - smooth) * frequency / factor + smooth * frequency;
}

std::vector<double> rope_frequencies(const Metadata& metadata, int head_dim) {
  constexpr double largest = 1e12;
  const double theta = metadata.number("attn.rope_theta", 1, largest);
  std::vector<double> frequencies;
  for (int i = 0; i < head_dim; i += 2) {
    frequencies.push_back(std::pow(theta, -static_cast<double>(i) / head_dim));
  }
  if (!metadata.has("attn.rope_scaling")) return frequencies;
  const std::string where = "metadata 'attn.rope_scaling'";
  const Json scaling = runtime::parse_json(metadata.text("attn.rope_scaling"), where);
  const std::string& type = runtime::json_string(runtime::json_member(scaling, "rope_type", where),
                                                 where + ": rope_type");
  if (type == "linear") {
    const double factor = scaling_number(scaling, "factor");
    for (double& frequency : frequencies) frequency /= factor;
  } else if (type == "llama3") {
    for (double& frequency : frequencies) frequency = llama3_scaled(frequency, scaling);
  } else if (type == "factors") {
    const Json& factors = runtime::json_member(scaling, "factors", where);
    if (!factors.is_array() || factors.size() != frequencies.size()) {
      fail(where + ": " + std::to_string(factors.size()) + " factors for " +
           std::to_string(frequencies.size()) + " frequencies");
    }
    for (std::size_t i = 0; i < frequencies.size(); ++i) {
      if (!factors[i].is_number() || !(factors[i].get<double>() > 0)) {
        fail(where + ": factor " + std::to_string(i) + " is " + runtime::json_text(factors[i]));
      }
      frequencies[i] /= factors[i].get<double>();
    }
  } else {
    fail(where + ": rope_type " + runtime::quote(type) + " is none of linear, llama3, factors");
  }
  return frequencies;
}

int whole(const Metadata& metadata, const char* key, std::int64_t high) {
  return static_cast<int>(metadata.integer(key, 1, high));
}

// The vocabulary is as large as the embedding has rows; where the file says it too, it agrees.
std::int64_t vocabulary(const Metadata& metadata, const Shapes& have, const char* embedding) {
  const std::int64_t rows = required_shape(have, embedding, 2)[0];
  if (metadata.has("attn.vocab_size") &&
      metadata.integer("attn.vocab_size", 1, most_tokens) != rows) {
    fail("metadata 'attn.vocab_size' is " + metadata.text("attn.vocab_size") + ", and tensor '" +
         embedding + "' has " + std::to_string(rows) + " rows");
  }
  return rows;
}

}  // namespace

DecoderConfig decoder_config(const Metadata& metadata, const Shapes& have) {
  DecoderConfig c;
  c.vocab = vocabulary(metadata, have, "model.embed_tokens.weight");
  c.hidden = metadata.integer("attn.hidden_size", 1, most_width);
  c.intermediate = metadata.integer("attn.intermediate_size", 1, most_width);
  c.layers = whole(metadata, "attn.num_hidden_layers", most_layers);
  c.heads = whole(metadata, "attn.num_attention_heads", most_heads);
  c.kv_heads = metadata.has("attn.num_key_value_heads")
                   ? whole(metadata, "attn.num_key_value_heads", most_heads)
                   : c.heads;
  if (c.kv_heads > c.heads || c.heads % c.kv_heads != 0) {
    fail("metadata 'attn.num_key_value_heads' is " + std::to_string(c.kv_heads) +
         ", no divisor of the " + std::to_string(c.heads) + " heads");
  }
  if (metadata.has("attn.head_dim")) {
    c.head_dim = whole(metadata, "attn.head_dim", most_width);
  } else {
    if (c.hidden % c.heads != 0) {
      fail("metadata 'attn.hidden_size' is " + std::to_string(c.hidden) + ", no multiple of the " +
           std::to_string(c.heads) + " heads, and there is no 'attn.head_dim'");
    }
    c.head_dim = static_cast<int>(c.hidden / c.heads);
  }
  if (c.head_dim % 2 != 0) {
    fail("metadata 'attn.head_dim' is " + std::to_string(c.head_dim) +
         ", and rotary embedding turns pairs");
  }
  c.context = metadata.integer("attn.max_position_embeddings", 1, most_tokens);
  c.eps = metadata.number("attn.rms_norm_eps", 0, 1);
  if (metadata.has("attn.sliding_window")) {
    c.window = static_cast<int>(metadata.integer("attn.sliding_window", 0, most_tokens));
  }
  if (metadata.text("attn.hidden_act") != "silu") {
    fail("metadata 'attn.hidden_act' is " + runtime::quote(metadata.text("attn.hidden_act")) +
         ", not silu");
  }
  const std::string& layout = metadata.text("attn.rope_layout");
  if (layout != "half" && layout != "interleaved") {
    fail("metadata 'attn.rope_layout' is " + runtime::quote(layout) +
         ", neither half nor interleaved");
  }
  c.rope_layout = layout == "half" ? kernels::RopeLayout::half : kernels::RopeLayout::interleaved;
  c.rope_frequencies = rope_frequencies(metadata, c.head_dim);
  return c;
}

EncoderConfig encoder_config(const Metadata& metadata, const Shapes& have) {
  EncoderConfig c;
  c.vocab = vocabulary(metadata, have, "embeddings.word_embeddings.weight");
  c.hidden = metadata.integer("attn.hidden_size", 1, most_width);
  c.intermediate = metadata.integer("attn.intermediate_size", 1, most_width);
  c.layers = whole(metadata, "attn.num_hidden_layers", most_layers);
  c.heads = whole(metadata, "attn.num_attention_heads", most_heads);
  if (c.hidden % c.heads != 0) {
    fail("metadata 'attn.hidden_size' is " + std::to_string(c.hidden) + ", no multiple of the " +
         std::to_string(c.heads) + " heads");
  }
  c.positions = metadata.integer("attn.max_position_embeddings", 1, most_tokens);
  c.token_types = required_shape(have, "embeddings.token_type_embeddings.weight", 2)[0];
  c.eps = metadata.number("attn.layer_norm_eps", 0, 1);
  const std::string& activation = metadata.text("attn.hidden_act");
  if (activation == "gelu") {
    c.activation = kernels::Unary::gelu;
  } else if (activation == "gelu_new" || activation == "gelu_pytorch_tanh") {
    c.activation = kernels::Unary::gelu_tanh;
  } else if (activation == "relu") {
    c.activation = kernels::Unary::relu;
  } else {
    fail("metadata 'attn.hidden_act' is " + runtime::quote(activation) +
         ", none of gelu, gelu_new, gelu_pytorch_tanh, relu");
  }
  // without pooling modules a text is its tokens' mean, as long as 1
  if (metadata.has("attn.pooling")) {
    const std::string& pooling = metadata.text("attn.pooling");
    if (pooling != "mean" && pooling != "cls") {
      fail("metadata 'attn.pooling' is " + runtime::quote(pooling) + ", neither mean nor cls");
    }
    c.pooling = pooling == "cls" ? EncoderConfig::Pooling::cls : EncoderConfig::Pooling::mean;
    c.normalize = metadata.flag("attn.normalize");
  }
  c.longest = metadata.has("attn.max_seq_length")
                  ? metadata.integer("attn.max_seq_length", 1, most_tokens)
                  : c.positions;
  c.longest = std::min(c.longest, c.positions);
  return c;
}

}  // namespace attn::models
