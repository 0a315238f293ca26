// A conversation: a line of standard input is a question, its answer is written as it comes.
// usage: chat MODEL [MAX_TOKENS]; MODEL is a language model with a chat template

#include <attn/generator.hpp>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

namespace {

void converse(const attn::Model& model, int max_tokens) {
  // keeps what it has read: of every further prompt only the new turn is read
  attn::Generator generator(model);
  attn::GenerateOptions options;
  options.max_tokens = max_tokens;
  options.on_token = [](const attn::GeneratedToken& token) {
    std::cout << token.text << std::flush;
    return true;  // false would end the answer
  };
  std::vector<attn::ChatMessage> messages;
  for (std::string line; std::getline(std::cin, line);) {
    messages.push_back({"user", line});
    const attn::Generation answer = generator.generate(model.tokenize_chat(messages), options);
    std::cout << "\n";
    messages.push_back({"assistant", answer.text});
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) {
    std::cerr << "usage: chat MODEL [MAX_TOKENS]\n";
    return 2;
  }
  try {
    const attn::Model model = attn::Model::open(argv[1]);
    converse(model, argc == 3 ? std::atoi(argv[2]) : -1);
  } catch (const attn::Error& error) {
    std::cerr << "chat: " << error.what() << "\n";
    return error.exit_code();
  }
}
