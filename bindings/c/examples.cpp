#include "attn/tune_data.hpp"
#include "bindings/c/structs.hpp"
#include "bindings/c/tune_handles.hpp"

using namespace attn::c;

namespace {

attn_example example_defaults() noexcept {
  attn_example example{};
  example.struct_size = sizeof example;
  example.score = attn::TuneExample().score;
  return example;
}

attn_data_options data_defaults() noexcept {
  attn_data_options options{};
  options.struct_size = sizeof options;
  return options;
}

std::vector<std::int32_t> tokens_of(const attn_tokens& given, const char* name) {
  const auto ids = array(given.ids, given.count, name);
  return {ids.begin(), ids.end()};
}

std::vector<attn::TuneExample> read(const attn::Model& model, attn::TuneTask task,
                                    const std::filesystem::path& path,
                                    const attn_data_options& given) {
  attn::DataOptions options;
  options.context_asked = given.context != 0;
  options.context = given.context;
  std::vector<std::string> words;
  for (const char* const each : array(given.look_at, given.look_at_count, "look_at")) {
    words.emplace_back(text(each, "look_at"));
  }
  switch (task) {
    case attn::TuneTask::language: return attn::language_examples(model, path, options);
    case attn::TuneTask::attention: return attn::attention_examples(model, path, words, options);
    case attn::TuneTask::similarity: break;
  }
  return attn::similarity_examples(model, path, options);
}

}  // namespace

attn_status attn_example_init(attn_example* example, size_t struct_size) {
  return init(example, struct_size, example_defaults());
}

attn_status attn_data_options_init(attn_data_options* options, size_t struct_size) {
  return init(options, struct_size, data_defaults());
}

attn_status attn_examples_create(attn_examples** examples, attn_error* error) {
  return call(error, [&] {
    attn_examples*& to = required(examples, "examples");
    to = new attn_examples;
  });
}

attn_status attn_examples_add(attn_examples* examples, const attn_example* example,
                              attn_error* error) {
  return call(error, [&] {
    attn_examples& to = live(examples);
    const attn_example c = taken(&required(example, "example"), example_defaults(), "attn_example");
    attn::TuneExample all;
    all.tokens = tokens_of(c.tokens, "example: tokens");
    all.targets = tokens_of(c.targets, "example: targets");
    all.words = tokens_of(c.words, "example: words");
    all.look_at = tokens_of(c.look_at, "example: look_at");
    all.other = tokens_of(c.other, "example: other");
    all.score = c.score;
    all.name = text_or_none(c.name);
    to.all.push_back(std::move(all));
  });
}

attn_status attn_examples_read(const attn_model* model, attn_task_kind task, const char* path,
                               const attn_data_options* options, attn_examples** examples,
                               attn_error* error) {
  return call(error, [&] {
    const attn::Model& from = *live(model).model;
    attn_examples*& to = required(examples, "examples");
    const attn_data_options c = taken(options, data_defaults(), "attn_data_options");
    auto made = std::make_unique<attn_examples>();
    made->all = read(from, one_of(task, attn::TuneTask::similarity, "task"), text(path, "path"), c);
    to = made.release();
  });
}

attn_status attn_examples_split(attn_examples* examples, double share, uint64_t seed,
                                attn_examples** held_out, attn_error* error) {
  return call(error, [&] {
    attn_examples& from = live(examples);
    attn_examples*& to = required(held_out, "held_out");
    auto made = std::make_unique<attn_examples>();
    attn::SplitExamples split = attn::split_held_out(from.all, share, seed);
    from.all = std::move(split.train);
    made->all = std::move(split.held_out);
    to = made.release();
  });
}

attn_status attn_examples_count(const attn_examples* examples, size_t* count, attn_error* error) {
  return call(error, [&] { required(count, "count") = live(examples).all.size(); });
}

attn_status attn_examples_longest(const attn_examples* examples, int* tokens, attn_error* error) {
  return call(error, [&] {
    const attn_examples& all = live(examples);
    required(tokens, "tokens") = attn::longest_example(all.all);
  });
}

attn_status attn_examples_free(attn_examples* examples) { return free_handle(examples); }
