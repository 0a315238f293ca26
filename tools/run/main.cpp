// attn-run: runs a model on an input and shows where it looks.

#include "attn/attn.hpp"
#include "tools/common/interrupt.hpp"
#include "tools/common/terminal.hpp"
#include "tools/common/tool.hpp"
#include "tools/run/examples.hpp"
#include "tools/run/feed.hpp"
#include "tools/run/report.hpp"

#include <CLI/CLI.hpp>

#include <optional>
#include <string>

namespace {

using namespace attn;
using namespace attn::tools;

struct Arguments {
  std::optional<std::string> model, example, input, sentence, threads, picture;
  bool examples = false, json = false, profile = false, info = false, verify = false;
};

void declare(CLI::App& app, Arguments& arguments) {
  auto* model = app.add_option("-m,--model,MODEL", arguments.model,
                               "A model.bin; without one the embedded example size-loss runs");
  auto* example = app.add_option("--example", arguments.example,
                                 "Run the embedded example NAME on an input of its own");
  app.add_flag("--examples", arguments.examples, "List the embedded examples");
  auto* input =
      app.add_option("-i,--input", arguments.input,
                     "FILE.json, FILE.npy, or - for standard input: nested lists, or {input name: "
                     "nested lists}; without it the model's own sample");
  auto* sentence = app.add_option("-s,--sentence", arguments.sentence,
                                  "The input in words that the model knows, blanks between them");
  app.add_flag("--json", arguments.json, "Print JSON with every digit instead of tables");
  auto* threads = app.add_option("-t,--threads", arguments.threads,
                                 "1 to 1024; without it the processors that this process may use");
  auto* picture = app.add_option("-a,--attention", arguments.picture,
                                 "Draw the attention weights into FILE.png, .svg, .html or .json");
  app.add_flag("--profile", arguments.profile, "Print how long every operation took");
  app.add_flag("--info", arguments.info,
               "Print architecture, tensors, graph, memory and ISA instead of running");
  app.add_flag("--verify", arguments.verify,
               "Check the model's checksum and refuse weights that are not finite");
  app.set_help_flag("-h,--help", "Print this");
  app.set_version_flag("--version", std::string("attn-run ") + ATTN_VERSION, "Print the version");

  model->type_name("FILE");
  example->type_name("NAME");
  input->type_name("FILE");
  sentence->type_name("TEXT");
  threads->type_name("N");
  picture->type_name("FILE");
  model->excludes(example);
  input->excludes(sentence);
  app.footer(
      "Exit codes: 0 done, 2 wrong use, 3 invalid model or data, 4 input or output failed,\n"
      "            5 not enough memory, 6 numerical failure, 130 interrupted\n\n"
      "Examples:\n"
      "  attn-run                                   the trained pink elephant\n"
      "  attn-run model.bin --input x.npy --json\n"
      "  attn-run --example multi-head --attention heads.html\n"
      "  echo '[[1,0,1,0],[0,1,0,1]]' | attn-run --example self-attention --input -");
}

Model open(const Arguments& arguments, std::string& name) {
  Options options;
  options.threads = thread_count(arguments.threads);
  options.verify = arguments.verify;
  options.profile = arguments.profile;
  if (arguments.model) {
    name = *arguments.model;
    return Model::open(name, options);
  }
  const Example& example = find_example(arguments.example.value_or(std::string(default_example)));
  name = "example " + std::string(example.name);
  return Model::from_memory(example.bytes, name, options);
}

void draw(const std::string& path, const Run& run) {
  const std::optional<AttentionPicture> picture = attention_picture(run);
  if (!picture) {
    throw Error(ErrorKind::usage,
                "--attention: " + run.model.architecture() + " hands out no attention weights");
  }
  const HoldInterrupts hold;
  write_heatmap(path, *picture);
  HoldInterrupts::check();
}

void run_model(const Arguments& arguments, Out& out) {
  if (arguments.picture) {
    check_extension("--attention", *arguments.picture, ".png .svg .html .json");
  }
  std::string name;
  Model model = open(arguments, name);
  const Terminal terminal = standard_output_terminal();
  if (arguments.info) {
    out.print(arguments.json ? info_json(model, name) : info_text(model, name, terminal));
    return;
  }
  if (arguments.picture) check_output_file(*arguments.picture);
  const Feed feed = feed_for(model, name, arguments.input, arguments.sentence);
  const Run run{model, name, feed, run_on(model, feed)};
  if (arguments.picture) draw(*arguments.picture, run);
  std::optional<std::vector<OpProfile>> profile;
  if (arguments.profile) profile = model.profile();
  if (arguments.json) {
    out.print(json_text(run, profile));
    return;
  }
  out.print(human_text(run, terminal));
  if (profile) out.print(profile_text(*profile, model.info().isa, terminal));
}

}  // namespace

int main(int argc, char** argv) {
  return run_tool("attn-run", [&](Out& out) {
    CLI::App app("Runs an attention model and shows where it looks.", "attn-run");
    Arguments arguments;
    declare(app, arguments);
    if (!parse_arguments(app, argc, argv, out)) return;
    if (arguments.examples) {
      print_examples(out, arguments.json);
    } else {
      run_model(arguments, out);
    }
  });
}
