#include "fuzz/opened.hpp"

#include "attn/generator.hpp"
#include "fuzz/targets.hpp"

#include <algorithm>
#include <array>

namespace attn::fuzz {
namespace {

constexpr const char* text = "the elephant, to th\u00e9 [MASK]\n12 <|im_end|>";

// Enough of a model to see that its file was understood; wide ones only cost time.
constexpr std::int64_t most_elements = 1 << 16;

void generate(const Model& model) {
  accepts([&] {
    Generator generator(model, {.context = 8, .batch = 4});
    const std::array<std::int32_t, 3> prompt{0, 1, 0};
    GenerateOptions options;
    options.max_tokens = 2;
    options.sampling.temperature = 0;
    const Generation answer = generator.generate(prompt, options);
    for (const std::int32_t token : answer.tokens) {
      expect(token >= 0 && token < model.text().vocab_size,
             "a generated token is in the vocabulary");
    }
  });
}

void tokenize(const Model& model) {
  accepts([&] {
    const std::vector<std::int32_t> tokens = model.tokenize(text);
    for (const std::int32_t token : tokens) {
      expect(token >= 0 && token < model.text().vocab_size, "a token is in the vocabulary");
      (void)model.token_text(token);
    }
    (void)model.detokenize(tokens);
  });
  const std::vector<ChatMessage> messages{{"user", text}};
  if (model.text().chats) accepts([&] { (void)model.tokenize_chat(messages); });
}

// Of a teaching model: every input as small as its shape allows.
void run(Model& model) {
  std::vector<Input> inputs;
  std::vector<std::vector<float>> numbers;
  std::vector<std::vector<std::int32_t>> ids;
  const std::vector<PortInfo> ports = model.inputs();
  numbers.reserve(ports.size());
  ids.reserve(ports.size());
  for (const PortInfo& port : ports) {
    Dims shape = port.shape;
    std::int64_t count = 1;
    for (std::int64_t& dim : shape) {
      if (dim < 0) dim = 2;
      count *= dim;
      if (count > most_elements) return;
    }
    const auto size = static_cast<std::size_t>(count);
    if (port.token_ids) {
      inputs.push_back({port.name, shape, std::span<const std::int32_t>(ids.emplace_back(size))});
    } else {
      inputs.push_back(
          {port.name, shape, std::span<const float>(numbers.emplace_back(size, 0.5F))});
    }
  }
  (void)model.run(inputs);
}

}  // namespace

Options fuzz_options() {
  Options options;
  options.threads = 1;
  options.isa = "scalar";
  return options;
}

void use(Model& model) {
  accepts([&] { (void)model.info(); });
  const TextInfo& can = model.text();
  if (can.generates) {
    generate(model);
  } else if (can.embeds) {
    const std::vector<std::vector<std::int32_t>> texts{{0, 1}, {0}};
    accepts([&] { (void)model.embed(texts); });
  } else {
    accepts([&] { run(model); });
  }
  if (can.tokenizes) tokenize(model);
}

}  // namespace attn::fuzz
