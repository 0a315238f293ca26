// Every request for memory fails, once and for good, in whatever an application does with a model.

#include "attn/batch.hpp"
#include "attn/convert.hpp"
#include "attn/generator.hpp"
#include "faults/sweep.hpp"
#include "support/gguf_model.hpp"
#include "support/models.hpp"
#include "support/text_models.hpp"

#include <map>

using namespace attn;
using namespace attn::test;

namespace {

using Tokens = std::vector<std::int32_t>;

Options options(int threads = 1) {
  Options options;
  options.threads = threads;
  return options;
}

// More than 8 tokens, whose products take other ways than those of few.
const Tokens& prompt() {
  static const Tokens tokens{3, 7, 11, 15, 19, 23, 27, 31, 35, 39, 43, 47};
  return tokens;
}

std::string generated(const Model& model, const GenerateOptions& options) {
  Generator generator(model, {.context = 64, .kv_type = KvType::bf16});
  const Generation answer = generator.generate(prompt(), options);
  const Spared spared;
  return bytes_in(answer.tokens);
}

std::string shown(Model& model) {
  const AttentionMaps maps = model.attention(prompt());
  const Spared spared;
  return bytes_in(maps.weights);
}

std::string name_of(const Model& model) {
  const Spared spared;
  return model.architecture();
}

// A model is opened in act(): there is nothing to be made before.
constexpr auto nothing = [] { return 0; };

std::function<Model()> opened(const std::string& name, int threads = 1) {
  return [=] { return Model::open(data_path(name), options(threads)); };
}

}  // namespace

TEST_CASE("opening a model.bin where memory is short", "[memory]") {
  const TemporaryFolder folder;
  const std::filesystem::path bert = folder / "bert.bin", llama = folder / "llama.bin";
  (void)convert(TextModelFolder("bert").path(), bert);
  (void)convert(TextModelFolder("llama").path(), llama, {.quantize = "q8_0", .pack = "avx2"});
  sweep("open an encoder's model.bin", nothing, [&](int) {
    Model model = Model::open(bert, options());
    const Tokens tokens = model.tokenize("the small mouse");
    const Spared spared;
    return model.architecture() + bytes_in(tokens);
  });
  sweep("open a packed model.bin and check it", nothing, [&](int) {
    Options checked = options();
    checked.verify = true;
    Model model = Model::open(llama, checked);
    const Tokens tokens = model.tokenize("the small mouse");
    const Spared spared;
    return model.architecture() + bytes_in(tokens);
  });
  const std::vector<std::byte> bytes = size_loss_file(seeds()["size_loss_attention"]["initial"]);
  const std::string name = "embedded";
  sweep("open from memory", nothing, [&](int) {
    Model model = Model::from_memory(bytes, name, options());
    const auto architectures = Model::architectures();
    const auto inputs = model.inputs(), outputs = model.outputs();
    const Tokens tokens = model.encode(model.sentence());
    const Spared spared;
    return architectures.back() + inputs[0].name + outputs[0].name + bytes_in(tokens);
  });
}

TEST_CASE("opening a GGUF file where memory is short", "[memory]") {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder / "tiny.gguf";
  write_file(file, gguf_of_llama(models::open_source(data_path("tiny-llama"), false)));
  sweep("open a GGUF file", nothing, [&](int) {
    Model model = Model::open(file, options());
    const Spared spared;
    return model.architecture() + std::to_string(model.text().layers);
  });
}

TEST_CASE("opening a folder where memory is short", "[memory]") {
  for (const char* const name : {"llama", "bert"}) {
    const TextModelFolder folder(name);
    sweep(std::string("open a folder of ") + name, nothing, [&](int) {
      Model model = Model::open(folder.path(), options());
      const Tokens tokens = model.tokenize("the cat looked at the mouse.");
      const Spared spared;
      return bytes_in(tokens);
    });
  }
  const std::filesystem::path llama = data_path("tiny-llama");
  Options adapted = options();
  adapted.adapters = {{data_path("tiny-llama/lora"), 1}};
  sweep("open with an adapter", nothing, [&](int) { return name_of(Model::open(llama, adapted)); });
  const std::map<std::string, std::string> parameters{{"embedding_size", "4"}};
  sweep("start threads", nothing,
        [&](int) { return name_of(Model::create("self_attention", parameters, 1, options(4))); });
}

TEST_CASE("running where memory is short", "[memory]") {
  for (const int threads : {1, 2}) {
    const auto make = [&] {
      return Model::create("multi_head_attention", {{"embedding_size", "16"}, {"num_heads", "2"}},
                           7, options(threads));
    };
    const std::vector<float> x(2 * 12 * 16, 0.25F);
    const Input input{"x", {2, 12, 16}, std::span(x)};
    sweep("run on " + std::to_string(threads), make, [&](Model& model) {
      const auto outputs = model.run(std::span(&input, 1));
      const Spared spared;
      return bytes_in(outputs[0].values);
    });
  }
}

TEST_CASE("embedding where memory is short", "[memory]") {
  const std::vector<Tokens> texts{prompt(), {1, 2, 3}, {9, 8, 7, 6}};
  for (const int threads : {1, 2}) {
    sweep("embed on " + std::to_string(threads), opened("tiny-bert", threads), [&](Model& model) {
      const Embeddings embeddings = model.embed(texts);
      const Spared spared;
      return bytes_in(embeddings.values);
    });
  }
  sweep("attention of an encoder", opened("tiny-bert"), shown);
}

TEST_CASE("generating where memory is short", "[memory]") {
  const GenerateOptions greedy{.max_tokens = 6, .sampling = {.temperature = 0}, .stop = {"x"}};
  const GenerateOptions guessing{.max_tokens = 6, .lookup = true};
  for (const int threads : {1, 2}) {
    sweep("generate on " + std::to_string(threads), opened("tiny-llama", threads),
          [&](Model& model) { return generated(model, greedy); });
  }
  const TextModelFolder folder("llama");
  const auto make = [&] { return Model::open(folder.path(), options()); };
  const std::vector<ChatMessage> chat{{"user", "what is the capital of france?"}};
  sweep("chat", make, [&](Model& model) {
    const Tokens tokens = model.tokenize_chat(chat);
    const std::string text = model.detokenize(tokens), token = model.token_text(5);
    const Spared spared;
    return bytes_in(tokens) + text + token;
  });
  sweep("generate with guesses", make, [&](Model& model) { return generated(model, guessing); });
  const std::vector<BatchPrompt> prompts{{prompt(), 5}, {{4, 5}, 3}, {{9}, 4}};
  sweep("generate together", make, [&](Model& model) {
    const std::vector<Generation> answers = generate_batch(model, prompts);
    const Spared spared;
    std::string all;
    for (const Generation& each : answers) all += bytes_in(each.tokens);
    return all;
  });
  sweep("attention of a language model", make, shown);
  sweep("perplexity", make, [](Model& model) {
    Generator generator(model, {.context = 8});
    const double value = generator.perplexity(prompt()).value;
    const Spared spared;
    return std::to_string(value);
  });
  sweep("tell about a model", make, [](Model& model) {
    const ModelInfo info = model.info();
    const Spared spared;
    return info.isa_reason + info.graph.back().op + std::to_string(info.memory.arena);
  });
}
