// A conversation at the terminal: a line is a question, the answer is streamed.

#include "attn/generator.hpp"
#include "tools/common/interrupt.hpp"
#include "tools/common/terminal.hpp"
#include "tools/run/prompt.hpp"

#include <iostream>
#include <unistd.h>

namespace attn::tools {
namespace {

/// The next line of standard input; false at its end.
bool read_line(std::string& line) {
  if (::isatty(STDIN_FILENO) != 0) write_error_stream("> ");
  return static_cast<bool>(std::getline(std::cin, line));
}

}  // namespace

void converse(const Arguments& arguments, const Opened& opened, Out& out) {
  if (arguments.profile) {
    throw Error(ErrorKind::usage, "--profile: is not for a conversation, only for one answer");
  }
  GenerateOptions options = generate_options(arguments);
  Generator generator(opened.model, generator_options(arguments));
  std::vector<ChatMessage> messages = conversation(arguments);
  for (std::string line; read_line(line);) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    messages.push_back({"user", line});
    const std::vector<std::int32_t> prompt = opened.model.tokenize_chat(messages);
    const HoldInterrupts hold;
    ProgressBar progress("reading");
    options.on_prompt = [&](std::int64_t done, std::int64_t total) {
      HoldInterrupts::check();
      if (progress.due()) progress.show(done, total, std::to_string(done) + " tokens");
    };
    options.on_token = [&](const GeneratedToken& token) {
      progress.clear();
      out.print(token.text);
      out.flush();
      return !interrupted();
    };
    const Generation generation = generator.generate(prompt, options);
    progress.clear();
    out.print("\n");
    out.flush();
    if (generation.finish == Finish::cancelled) throw Interrupted{};
    messages.push_back({"assistant", generation.text});
    print_timings(opened.seconds, generation);
  }
}

}  // namespace attn::tools
