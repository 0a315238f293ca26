#include "bindings/c/handles.hpp"
#include "bindings/c/host.hpp"
#include "bindings/c/structs.hpp"

using namespace attn::c;

namespace {

attn_generator_options generator_defaults() noexcept {
  const attn::GeneratorOptions from;
  attn_generator_options options{};
  options.struct_size = sizeof options;
  options.context = from.context;
  options.batch = from.batch;
  options.kv_type = static_cast<attn_kv_type>(from.kv_type);
  return options;
}

attn_generate_options generate_defaults() noexcept {
  const attn::GenerateOptions from;
  attn_generate_options options{};
  options.struct_size = sizeof options;
  options.max_tokens = from.max_tokens;
  options.temperature = from.sampling.temperature;
  options.top_k = from.sampling.top_k;
  options.top_p = from.sampling.top_p;
  options.min_p = from.sampling.min_p;
  options.repeat_penalty = from.sampling.repeat_penalty;
  options.repeat_window = from.sampling.repeat_window;
  options.seed = from.sampling.seed;
  options.lookup = from.lookup ? 1 : 0;
  return options;
}

attn::GenerateOptions generate_options(const attn_generate_options* given) {
  const attn_generate_options c = taken(given, generate_defaults(), "attn_generate_options");
  attn::GenerateOptions options;
  options.max_tokens = c.max_tokens;
  options.sampling.temperature = c.temperature;
  options.sampling.top_k = c.top_k;
  options.sampling.top_p = c.top_p;
  options.sampling.min_p = c.min_p;
  options.sampling.repeat_penalty = c.repeat_penalty;
  options.sampling.repeat_window = c.repeat_window;
  options.sampling.seed = c.seed;
  for (const char* const each : array(c.stop, c.stop_count, "stop")) {
    options.stop.emplace_back(text(each, "stop"));
  }
  options.lookup = c.lookup != 0;
  if (c.on_token != nullptr) {
    options.on_token = [f = c.on_token, user = c.user](const attn::GeneratedToken& token) {
      return f(user, token.id, std::string(token.text).c_str(), token.text.size()) == 0;
    };
  }
  options.on_prompt = progress(c.on_prompt, c.user);
  return options;
}

}  // namespace

attn_status attn_generator_options_init(attn_generator_options* options, size_t struct_size) {
  return init(options, struct_size, generator_defaults());
}

attn_status attn_generate_options_init(attn_generate_options* options, size_t struct_size) {
  return init(options, struct_size, generate_defaults());
}

attn_status attn_generator_create(const attn_model* model, const attn_generator_options* options,
                                  attn_generator** generator, attn_error* error) {
  return call(error, [&] {
    const attn_model& from = live(model);
    attn_generator*& to = required(generator, "generator");
    const attn_generator_options c = taken(options, generator_defaults(), "attn_generator_options");
    attn::GeneratorOptions all;
    all.context = c.context;
    all.batch = c.batch;
    all.kv_type = one_of(c.kv_type, attn::KvType::q8_0, "kv_type");
    all.cancel = token_of(c.cancel);
    to = new attn_generator(from.model, all);
  });
}

attn_status attn_generator_free(attn_generator* generator) { return free_handle(generator); }

attn_status attn_generator_generate(attn_generator* generator, const int32_t* prompt, size_t count,
                                    const attn_generate_options* options,
                                    attn_generation* generation, attn_error* error) {
  return call(error, [&] {
    attn_generator& handle = live(generator);
    const auto tokens = array(prompt, count, "prompt");
    const attn::GenerateOptions all = generate_options(options);
    if (generation != nullptr) {  // before anything is computed
      check_size<attn_generation>(generation->struct_size, "attn_generation");
    }
    handle.last = handle.generator.generate(tokens, all);
    if (generation == nullptr) return;
    const attn::Generation& last = handle.last;
    attn_generation result{};
    result.tokens = last.tokens.data();
    result.token_count = last.tokens.size();
    result.text = last.text.c_str();
    result.text_length = last.text.size();
    result.finish = static_cast<attn_finish>(last.finish);
    result.prompt_tokens = last.prompt.size();
    result.reused = last.reused;
    result.forwards = last.forwards;
    result.proposed = last.proposed;
    result.accepted = last.accepted;
    result.prompt_seconds = last.prompt_seconds;
    result.decode_seconds = last.decode_seconds;
    give(result, generation, "attn_generation");
  });
}
