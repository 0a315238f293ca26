// What the facade does with text.

#include "models/language/decoder.hpp"
#include "models/language/free_memory.hpp"
#include "models/language/prompts.hpp"
#include "models/model_impl.hpp"
#include "models/text/chat.hpp"
#include "models/text/unicode.hpp"
#include "models/transformer_config.hpp"
#include "runtime/formats/checked.hpp"

#include <algorithm>
#include <limits>
#include <optional>

namespace attn {

using models::errors_of_ours;
using models::Purpose;

namespace {

const models::Tokenizer& tokenizer_of(const std::shared_ptr<const models::Tokenizer>& tokenizer,
                                      const std::string& name) {
  if (!tokenizer) {
    throw Error(ErrorKind::usage, "this " + name + " model has no tokenizer; token ids it takes");
  }
  return *tokenizer;
}

}  // namespace

void Model::Impl::take_text(std::shared_ptr<const models::Tokenizer> own) {
  tokenizer = std::move(own);
  const models::Shapes shapes = models::shapes_of(specs);
  if (architecture->purpose == Purpose::language) {
    const models::DecoderConfig config = models::decoder_config(metadata, shapes);
    text.generates = true;
    text.vocab_size = config.vocab;
    text.trained_context = config.context;
    text.layers = config.layers;
    text.heads = config.heads;
  } else if (architecture->purpose == Purpose::encoder) {
    const models::EncoderConfig config = models::encoder_config(metadata, shapes);
    text.embeds = true;
    text.vocab_size = config.vocab;
    text.trained_context = config.longest;
    text.layers = config.layers;
    text.heads = config.heads;
  }
  if (text.generates && metadata.has("attn.bos_token_id")) {
    text.begin_token =
        static_cast<std::int32_t>(metadata.integer("attn.bos_token_id", 0, text.vocab_size - 1));
  }
  if (text.generates) text.end_tokens = metadata.ids("attn.eos_token_ids", text.vocab_size);
  if (!tokenizer) return;
  if (tokenizer->size() > text.vocab_size) {
    throw Error(ErrorKind::invalid, "the tokenizer has " + std::to_string(tokenizer->size()) +
                                        " tokens, and the embedding " +
                                        std::to_string(text.vocab_size) + " rows");
  }
  text.tokenizes = true;
  text.chats = text.generates && !tokenizer->spec().chat_template.empty();
  if (!text.generates) return;
  if (tokenizer->spec().begin) text.begin_token = tokenizer->spec().begin;
  for (const std::int32_t end : tokenizer->spec().ends) {
    std::vector<std::int32_t>& ends = text.end_tokens;
    if (std::find(ends.begin(), ends.end(), end) == ends.end()) ends.push_back(end);
  }
}

const TextInfo& Model::text() const { return self().text; }

std::vector<std::int32_t> Model::tokenize(std::string_view text,
                                          const TokenizeOptions& options) const {
  return errors_of_ours([&] {
    const models::Tokenizer& tokenizer = tokenizer_of(self().tokenizer, self().name);
    std::vector<std::int32_t> tokens = tokenizer.encode(text, options);
    if (options.truncate && self().text.embeds) {
      models::truncate(tokens, static_cast<std::size_t>(self().text.trained_context),
                       options.add_special ? tokenizer.spec().suffix.size() : 0);
    }
    return tokens;
  });
}

std::string Model::detokenize(std::span<const std::int32_t> tokens) const {
  return errors_of_ours([&] {
    return models::valid_utf8(
        tokenizer_of(self().tokenizer, self().name).decode(tokens, /*skip_special=*/true));
  });
}

std::string Model::token_text(std::int32_t token) const {
  return errors_of_ours([&] {
    if (!self().tokenizer) return std::to_string(token);
    return models::valid_utf8(self().tokenizer->bytes_of(token, /*first=*/true));
  });
}

std::vector<std::int32_t> Model::tokenize_chat(std::span<const ChatMessage> conversation) const {
  return errors_of_ours([&] {
    if (!self().text.chats) {
      throw Error(ErrorKind::usage, "this model has no chat template");
    }
    return models::chat_tokens(*self().tokenizer, self().name, conversation);
  });
}

Embeddings Model::embed(std::span<const std::vector<std::int32_t>> texts,
                        const OnProgress& progress) {
  Impl& impl = self();
  return errors_of_ours([&] {
    if (!impl.text.embeds) {
      throw Error(ErrorKind::usage, "a " + impl.name + " model is no encoder of texts");
    }
    return impl.encoder_of_texts().embed(texts, progress);
  });
}

namespace {

// The maps of a language model, a few queries at a time: [heads, queries, keys so far] of every
// layer become rows of [layer][head][query][key].
void decoder_maps(models::Decoder& decoder, AttentionMaps& maps, const OnProgress& progress) {
  const std::size_t count = maps.tokens.size(), heads = static_cast<std::size_t>(maps.heads);
  for (std::size_t at = 0; at < count;) {
    const std::size_t some =
        std::min<std::size_t>(count - at, static_cast<std::size_t>(models::most_wanted));
    (void)decoder.forward(std::span(maps.tokens).subspan(at, some), 0);
    const std::size_t keys = at + some;
    for (std::size_t l = 0; l < maps.layers.size(); ++l) {
      const std::span<const float> weights = decoder.attention(maps.layers[l]);
      for (std::size_t h = 0; h < heads; ++h) {
        for (std::size_t q = 0; q < some; ++q) {
          const auto from = weights.begin() + static_cast<std::ptrdiff_t>((h * some + q) * keys);
          std::copy_n(from, keys,
                      maps.weights.begin() +
                          static_cast<std::ptrdiff_t>(((l * heads + h) * count + at + q) * count));
        }
      }
    }
    at += some;
    if (progress) progress(static_cast<std::int64_t>(at), static_cast<std::int64_t>(count));
  }
}

void check_layers(std::span<const int> layers, int count) {
  std::vector<bool> taken(static_cast<std::size_t>(count));
  for (const int layer : layers) {
    if (layer < 0 || layer >= count) {
      throw Error(ErrorKind::usage,
                  "layer " + std::to_string(layer) + " is not in 0.." + std::to_string(count - 1));
    }
    if (taken[static_cast<std::size_t>(layer)]) {
      throw Error(ErrorKind::usage, "layer " + std::to_string(layer) + " is there twice");
    }
    taken[static_cast<std::size_t>(layer)] = true;
  }
}

// How many weights the maps have, which there is memory for.
std::size_t numbers_of(const AttentionMaps& maps) {
  const auto tokens = std::ssize(maps.tokens);
  const std::int64_t shape[] = {std::ssize(maps.layers), maps.heads, tokens, tokens};
  const auto all = runtime::checked_elements(shape);
  const std::optional<std::size_t> free = models::free_memory();
  constexpr std::size_t each = 2 * sizeof(float);  // once here, and once on its way
  const std::size_t most = free.value_or(std::numeric_limits<std::ptrdiff_t>::max()) / each;
  if (all && static_cast<std::size_t>(*all) <= most) return static_cast<std::size_t>(*all);
  throw Error(ErrorKind::memory, "attention: maps [" + std::to_string(shape[0]) + ", " +
                                     std::to_string(shape[1]) + ", " + std::to_string(tokens) +
                                     ", " + std::to_string(tokens) + "], and memory is free for " +
                                     std::to_string(most) + " weights; fewer layers take less");
}

}  // namespace

AttentionMaps Model::attention(std::span<const std::int32_t> tokens, std::span<const int> layers,
                               const OnProgress& progress) {
  Impl& impl = self();
  return errors_of_ours([&] {
    if (!impl.text.generates && !impl.text.embeds) {
      throw Error(ErrorKind::usage, "a " + impl.name + " model gives its attention in run()");
    }
    AttentionMaps maps;
    maps.tokens.assign(tokens.begin(), tokens.end());
    maps.heads = impl.text.heads;
    maps.layers.assign(layers.begin(), layers.end());
    for (int l = 0; layers.empty() && l < impl.text.layers; ++l) maps.layers.push_back(l);
    check_layers(maps.layers, impl.text.layers);
    if (tokens.empty() || static_cast<std::int64_t>(tokens.size()) > impl.text.trained_context) {
      throw Error(ErrorKind::invalid, "attention: " + std::to_string(tokens.size()) +
                                          " tokens are not in 1.." +
                                          std::to_string(impl.text.trained_context));
    }
    const std::size_t all = numbers_of(maps);
    if (impl.text.embeds) {
      maps.weights = impl.encoder_of_texts().attention(tokens, maps.layers);
      return maps;
    }
    maps.weights.resize(all);
    models::DecoderOptions options;
    options.context = static_cast<int>(tokens.size());
    options.batch = std::min(options.context, models::most_wanted);
    options.attention_layers = maps.layers;
    options.session = impl.session_options;
    models::Decoder decoder(impl.metadata, impl.specs, impl.weights, std::move(options));
    decoder_maps(decoder, maps, progress);
    return maps;
  });
}

}  // namespace attn
