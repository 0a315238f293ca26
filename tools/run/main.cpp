// attn-run: runs a model on an input and shows where it looks.

#include "attn/attn.hpp"
#include "tools/common/tool.hpp"
#include "tools/run/arguments.hpp"
#include "tools/run/examples.hpp"
#include "tools/run/modes.hpp"
#include "tools/run/report.hpp"

#include <CLI/CLI.hpp>

#include <chrono>
#include <string>
#include <vector>

namespace {

using namespace attn;
using namespace attn::tools;

Opened open(const Arguments& arguments) {
  const auto begin = std::chrono::steady_clock::now();
  const Options options = open_options(arguments);
  const auto opened = [&](Model model, std::string name) {
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
    return Opened{std::move(model), std::move(name), spent.count()};
  };
  if (arguments.model) return opened(Model::open(*arguments.model, options), *arguments.model);
  const Example& example = find_example(arguments.example.value_or(std::string(default_example)));
  const std::string name = "example " + std::string(example.name);
  return opened(Model::from_memory(example.bytes, name, options), name);
}

void run_model(const Arguments& arguments, Out& out) {
  if (arguments.picture) {
    check_extension("--attention", *arguments.picture, ".png .svg .html .json");
    check_output_file(*arguments.picture);
  }
  if (arguments.logits) {
    check_extension("--logits", *arguments.logits, ".npy");
    check_output_file(*arguments.logits);
  }
  Opened opened = open(arguments);
  const TextInfo& text = opened.model.text();
  const std::string& architecture = opened.model.architecture();
  if (arguments.info) {
    out.print(arguments.json ? info_json(opened.model, opened.name)
                             : info_text(opened.model, opened.name, standard_output_terminal()));
    return;
  }
  if (!text.generates && !text.embeds) {
    refuse_text_options(arguments, architecture);
    return run_tensors(arguments, opened, out);
  }
  refuse_tensor_options(arguments, architecture);
  if (arguments.tokenize) return print_tokens(arguments, opened, out);
  if (text.embeds) {
    refuse_generation_options(arguments, architecture);
    return run_encoder(arguments, opened, out);
  }
  refuse_encoder_options(arguments, architecture);
  if (arguments.batch_file) return generate_from_file(arguments, opened, out);
  if (arguments.parallel) {
    throw Error(ErrorKind::usage, "--parallel: is for the prompts of --batch-file");
  }
  if (arguments.perplexity) return print_perplexity(arguments, opened, out);
  if (arguments.chat && !arguments.prompt && !arguments.file)
    return converse(arguments, opened, out);
  generate(arguments, opened, out);
}

// "-sys TEXT" is what people's hands know; the parser has only one letter after one dash.
std::vector<std::string> spelled_out(int argc, char** argv) {
  std::vector<std::string> words(argv, argv + argc);
  for (std::string& word : words) {
    if (word == "-sys") word = "--sys";
  }
  return words;
}

}  // namespace

int main(int argc, char** argv) {
  return run_tool("attn-run", [&](Out& out) {
    CLI::App app("Runs an attention model and shows where it looks.", "attn-run");
    Arguments arguments;
    declare(app, arguments);
    std::vector<const char*> words;
    const std::vector<std::string> spelled = spelled_out(argc, argv);
    for (const std::string& word : spelled) words.push_back(word.c_str());
    if (!parse_arguments(app, argc, words.data(), out)) return;
    if (arguments.examples) {
      print_examples(out, arguments.json);
    } else {
      run_model(arguments, out);
    }
  });
}
