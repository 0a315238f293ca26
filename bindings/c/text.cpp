#include "bindings/c/handles.hpp"
#include "bindings/c/host.hpp"
#include "bindings/c/structs.hpp"

#include <string_view>

using namespace attn::c;

namespace {

attn_tokenize_options tokenize_defaults() noexcept {
  const attn::TokenizeOptions from;
  attn_tokenize_options options{};
  options.struct_size = sizeof options;
  options.add_special = from.add_special ? 1 : 0;
  options.parse_special = from.parse_special ? 1 : 0;
  options.truncate = from.truncate ? 1 : 0;
  return options;
}

void give_tokens(const std::vector<std::int32_t>& tokens, std::int32_t* to, std::size_t capacity,
                 std::size_t* count) {
  give(std::span(tokens), to, capacity, count, "tokens");
}

void give_text(const std::string& from, char* to, std::size_t capacity, std::size_t* length) {
  required(length, "length") = from.size();
  require_room(capacity, from.size() + 1, "text");
  std::copy_n(from.c_str(), from.size() + 1, &required(to, "text"));
}

}  // namespace

attn_status attn_tokenize_options_init(attn_tokenize_options* options, size_t struct_size) {
  return init(options, struct_size, tokenize_defaults());
}

attn_status attn_model_tokenize(const attn_model* model, const char* text, size_t length,
                                const attn_tokenize_options* options, int32_t* tokens,
                                size_t capacity, size_t* count, attn_error* error) {
  return call(error, [&] {
    const attn::Model& from = *live(model).model;
    const attn_tokenize_options c = taken(options, tokenize_defaults(), "attn_tokenize_options");
    const std::span<const char> given = length == ATTN_NUL_TERMINATED
                                            ? std::span<const char>(attn::c::text(text, "text"))
                                            : array(text, length, "text");
    give_tokens(from.tokenize({given.data(), given.size()},
                              {c.add_special != 0, c.parse_special != 0, c.truncate != 0}),
                tokens, capacity, count);
  });
}

attn_status attn_model_tokenize_chat(const attn_model* model, const attn_message* messages,
                                     size_t message_count, int32_t* tokens, size_t capacity,
                                     size_t* count, attn_error* error) {
  return call(error, [&] {
    const attn::Model& from = *live(model).model;
    std::vector<attn::ChatMessage> conversation;
    for (const attn_message& each : array(messages, message_count, "messages")) {
      conversation.push_back({std::string(text(each.role, "message: role")),
                              std::string(text(each.content, "message: content"))});
    }
    give_tokens(from.tokenize_chat(conversation), tokens, capacity, count);
  });
}

attn_status attn_model_detokenize(const attn_model* model, const int32_t* tokens, size_t count,
                                  char* text, size_t capacity, size_t* length, attn_error* error) {
  return call(error, [&] {
    give_text(live(model).model->detokenize(array(tokens, count, "tokens")), text, capacity,
              length);
  });
}

attn_status attn_model_token_text(const attn_model* model, int32_t token, char* text,
                                  size_t capacity, size_t* length, attn_error* error) {
  return call(error,
              [&] { give_text(live(model).model->token_text(token), text, capacity, length); });
}

attn_status attn_model_encode(const attn_model* model, const char* sentence, int32_t* tokens,
                              size_t capacity, size_t* count, attn_error* error) {
  return call(error, [&] {
    give_tokens(live(model).model->encode(text(sentence, "sentence")), tokens, capacity, count);
  });
}

attn_status attn_model_embed(attn_model* model, const attn_tokens* texts, size_t text_count,
                             float* values, size_t capacity, attn_progress progress, void* user,
                             attn_error* error) {
  return call(error, [&] {
    attn::Model& encoder = *live(model).model;
    std::vector<std::vector<std::int32_t>> all;
    for (const attn_tokens& each : array(texts, text_count, "texts")) {
      const auto ids = array(each.ids, each.count, "text: ids");
      all.emplace_back(ids.begin(), ids.end());
    }
    if (encoder.text().embeds) {  // before anything is computed
      const std::int64_t width = encoder.outputs().front().shape.back();
      require_room(capacity, all.size() * static_cast<std::size_t>(width), "values");
    }
    const attn::Embeddings found = encoder.embed(all, attn::c::progress(progress, user));
    if (found.values.empty()) return;
    std::copy(found.values.begin(), found.values.end(), &required(values, "values"));
  });
}

attn_status attn_model_attention(attn_model* model, const int32_t* tokens, size_t count,
                                 const int* layers, size_t layer_count, float* weights,
                                 size_t capacity, size_t* needed, attn_progress progress,
                                 void* user, attn_error* error) {
  return call(error, [&] {
    attn::Model& from = *live(model).model;
    const auto given = array(tokens, count, "tokens");
    const auto chosen = array(layers, layer_count, "layers");
    const attn::TextInfo& text = from.text();
    if (std::int64_t(count) <= text.trained_context) {  // otherwise attention() says what is wrong
      const std::size_t maps = chosen.empty() ? std::size_t(text.layers) : chosen.size();
      const std::size_t size = maps * std::size_t(text.heads) * count * count;
      if (needed != nullptr) *needed = size;
      require_room(capacity, size, "weights");
    }
    const attn::AttentionMaps maps =
        from.attention(given, chosen, attn::c::progress(progress, user));
    std::copy(maps.weights.begin(), maps.weights.end(), &required(weights, "weights"));
  });
}
