// Every request for memory fails, once and for good, in whatever an application does with a model.

#include "attn/batch.hpp"
#include "attn/convert.hpp"
#include "attn/generator.hpp"
#include "faults/sweep.hpp"
#include "support/gguf_model.hpp"
#include "support/models.hpp"
#include "support/text_models.hpp"

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

std::string generated(const Model& model) {
  Generator generator(model, {.context = 64});
  const Generation answer = generator.generate(
      prompt(), {.max_tokens = 6, .sampling = {.temperature = 0}, .stop = {"x"}});
  return bytes_in(answer.tokens);
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
    return model.architecture() + bytes_in(model.tokenize("the small mouse"));
  });
  sweep("open a packed model.bin and check it", nothing, [&](int) {
    Options checked = options();
    checked.verify = true;
    Model model = Model::open(llama, checked);
    return model.architecture() + bytes_in(model.tokenize("the small mouse"));
  });
  const std::vector<std::byte> bytes = size_loss_file(seeds()["size_loss_attention"]["initial"]);
  sweep("open from memory", nothing, [&](int) {
    Model model = Model::from_memory(bytes, "embedded", options());
    std::string all = model.sentence() + Model::architectures().back();
    for (const PortInfo& port : model.inputs()) all += port.name;
    for (const PortInfo& port : model.outputs()) all += port.name;
    return all + bytes_in(model.encode(model.sentence()));
  });
}

TEST_CASE("opening a GGUF file where memory is short", "[memory]") {
  const TemporaryFolder folder;
  write_file(folder / "tiny.gguf",
             gguf_of_llama(models::open_source(data_path("tiny-llama"), false)));
  sweep("open a GGUF file", nothing, [&](int) {
    Model model = Model::open(folder / "tiny.gguf", options());
    return model.architecture() + std::to_string(model.text().layers);
  });
}

TEST_CASE("opening a folder where memory is short", "[memory]") {
  for (const char* const name : {"llama", "bert"}) {
    const TextModelFolder folder(name);
    sweep(std::string("open a folder of ") + name, nothing, [&](int) {
      Model model = Model::open(folder.path(), options());
      return bytes_in(model.tokenize("the cat looked at the mouse."));
    });
  }
  sweep("open with an adapter", nothing, [&](int) {
    Options adapted = options();
    adapted.adapters = {{data_path("tiny-llama/lora"), 1}};
    Model model = Model::open(data_path("tiny-llama"), adapted);
    return model.architecture();
  });
  sweep("start threads", nothing, [&](int) {
    const Model model = Model::create("self_attention", {{"embedding_size", "4"}}, 1, options(4));
    return model.architecture();
  });
}

TEST_CASE("running where memory is short", "[memory]") {
  for (const int threads : {1, 2}) {
    const auto make = [&] {
      return Model::create("multi_head_attention", {{"embedding_size", "16"}, {"num_heads", "2"}},
                           7, options(threads));
    };
    const std::vector<float> x(2 * 12 * 16, 0.25F);
    sweep("run on " + std::to_string(threads), make, [&](Model& model) {
      const auto outputs = model.run({{model.inputs()[0].name, {2, 12, 16}, std::span(x)}});
      return bytes_in(outputs[0].values);
    });
  }
}

TEST_CASE("embedding where memory is short", "[memory]") {
  const std::vector<Tokens> texts{prompt(), {1, 2, 3}, {9, 8, 7, 6}};
  for (const int threads : {1, 2}) {
    sweep("embed on " + std::to_string(threads), opened("tiny-bert", threads),
          [&](Model& model) { return bytes_in(model.embed(texts).values); });
  }
  sweep("attention of an encoder", opened("tiny-bert"),
        [&](Model& model) { return bytes_in(model.attention(prompt()).weights); });
}

TEST_CASE("generating where memory is short", "[memory]") {
  for (const int threads : {1, 2}) {
    sweep("generate on " + std::to_string(threads), opened("tiny-llama", threads),
          [](Model& model) { return generated(model); });
  }
  const TextModelFolder folder("llama");
  const auto make = [&] { return Model::open(folder.path(), options()); };
  sweep("chat", make, [](Model& model) {
    const std::vector<ChatMessage> chat{{"user", "what is the capital of france?"}};
    return model.detokenize(model.tokenize_chat(chat)) + model.token_text(5);
  });
  sweep("generate with guesses", make, [](Model& model) {
    Generator generator(model, {.context = 64, .kv_type = KvType::bf16});
    return bytes_in(generator.generate(prompt(), {.max_tokens = 6, .lookup = true}).tokens);
  });
  sweep("generate together", make, [](Model& model) {
    const std::vector<BatchPrompt> prompts{{prompt(), 5}, {{4, 5}, 3}, {{9}, 4}};
    std::string all;
    for (const Generation& each : generate_batch(model, prompts)) all += bytes_in(each.tokens);
    return all;
  });
  sweep("attention of a language model", make,
        [](Model& model) { return bytes_in(model.attention(prompt()).weights); });
  sweep("perplexity", make, [](Model& model) {
    Generator generator(model, {.context = 8});
    return std::to_string(generator.perplexity(prompt()).value);
  });
  sweep("tell about a model", make, [](Model& model) {
    const ModelInfo info = model.info();
    return info.isa_reason + info.graph.back().op + std::to_string(info.memory.arena);
  });
}
