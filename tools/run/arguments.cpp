#include "tools/run/arguments.hpp"

#include "attn/error.hpp"
#include "tools/common/adapters.hpp"
#include "tools/common/tool.hpp"

namespace attn::tools {
namespace {

void declare_model(CLI::App& app, Arguments& a) {
  auto* model = app.add_option("-m,--model,MODEL", a.model,
                               "A model.bin, a GGUF file or a folder in the Hugging Face layout; "
                               "without one the embedded example size-loss runs");
  auto* example = app.add_option("--example", a.example,
                                 "Run the embedded example NAME on an input of its own");
  app.add_flag("--examples", a.examples, "List the embedded examples");
  auto* threads = app.add_option("-t,--threads", a.threads,
                                 "1 to 1024; without it the processors that this process may use");
  auto* precision = app.add_option("--precision", a.precision,
                                   "auto (by the weights' type), f32 (exact) or bf16 (products "
                                   "of numbers rounded to bfloat16)");
  app.add_option("--lora", a.adapters,
                 "Add an adapter to a language model or encoder: a folder in PEFT's layout, its "
                 "effect times SCALE (1); may be repeated")
      ->type_name("DIR[:SCALE]")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_flag("--json", a.json, "Print JSON with every digit instead of text and tables");
  app.add_flag("--profile", a.profile, "Print how long every operation took");
  app.add_flag("--info", a.info,
               "Print architecture, tensors, graph, memory and ISA instead of running");
  app.add_flag("--verify", a.verify,
               "Check the model's checksum and refuse weights that are not finite");
  model->type_name("FILE")->excludes(example);
  example->type_name("NAME");
  threads->type_name("N");
  precision->type_name("NAME");
}

void declare_text(CLI::App& app, Arguments& a) {
  const char* const group = "Language models and encoders";
  const auto option = [&](const char* names, auto& value, const char* type, const char* help) {
    return app.add_option(names, value, help)->type_name(type)->group(group);
  };
  const auto flag = [&](const char* names, bool& value, const char* help) {
    app.add_flag(names, value, help)->group(group);
  };
  auto* prompt = option("-p,--prompt", a.prompt, "TEXT", "The text to go on from, or to embed");
  auto* file = option("-f,--file", a.file, "FILE",
                      "The prompt from a file, or - for standard input; with --tokenize, --embed "
                      "and --similarity a JSON string a line");
  auto* tokens = option("--tokens", a.tokens, "1,2,3", "Token ids instead of a text");
  prompt->excludes(file)->excludes(tokens);
  file->excludes(tokens);
  option("-n,--predict", a.count, "N",
         "New tokens, 0 to read the prompt only; without it until the model ends its text or the "
         "context is full");
  option("-c,--context", a.context, "N",
         "Tokens of prompt and answer together (what the model was trained on, at most 4096 "
         "unless asked)");
  option("-b,--batch", a.batch, "N", "Tokens read at a time from the prompt, 1 to 65536 (512)");
  option(
      "--kv-type", a.kv_type, "NAME",
      "How the cache keeps what was read: f32, bf16 in half of the memory, or q8_0 in 27% (f32)");
  option("--temp", a.temperature, "X", "Temperature; 0 takes the likeliest token always (0.8)");
  option("--top-k", a.top_k, "N", "Only the N likeliest tokens; 0: all (0)");
  option("--top-p", a.top_p, "X", "Only the likeliest that reach X together; 1: all (0.95)");
  option("--min-p", a.min_p, "X", "Only those at least X times the likeliest; 0: all (0.05)");
  option("--repeat-penalty", a.repeat_penalty, "X", "Above 1: the last 64 tokens less likely (1)");
  option("--seed", a.seed, "N", "Of the choices; the same one gives the same text (0)");
  option("--stop", a.stop, "TEXT", "Ends the answer, without appearing in it; may be repeated")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  option("--batch-file", a.batch_file, "FILE",
         "Answer many prompts together: {\"prompt\": \"text\"} a line, optional \"id\" and "
         "\"max_tokens\"; - for standard input. Prints a JSON object a line, in the same order")
      ->excludes(prompt)
      ->excludes(file)
      ->excludes(tokens);
  option("--parallel", a.parallel, "N", "How many of them at once, 1 to 64 (16)");
  flag("--lookup", a.lookup,
       "Guess tokens from what was written before: the same text, sooner where it repeats itself");
  flag("--chat", a.chat, "One question with -p, else a conversation, line by line");
  option("--sys,--system", a.system, "TEXT", "The system message of the conversation (also -sys)");
  flag("--parse-special", a.parse_special, "Special tokens spelled out in the text count as such");
  flag("--tokenize", a.tokenize, "Print token ids instead of running, as JSON");
  option("--logits", a.logits, "FILE.npy", "Write the logits after every position of the prompt");
  option("--top-logits", a.top_logits, "K",
         "The K largest logits after every position, in the JSON");
  option("--perplexity", a.perplexity, "FILE", "Print the perplexity of a text");
  option("--max-tokens", a.max_tokens, "N", "Read only the first N tokens of it");
  flag("--embed", a.embed, "Print embeddings, as JSON");
  flag("--similarity", a.similarity, "Print the cosine of every pair of texts");
}

void declare_rest(CLI::App& app, Arguments& a) {
  const char* const pictures = "Attention";
  app.add_option("-a,--attention", a.picture,
                 "Draw the attention weights into FILE.html, .png, .svg or .json")
      ->type_name("FILE")
      ->group(pictures);
  app.add_option("--layers", a.layers, "Which layers: 0,14,29 or 0-5 (all)")
      ->type_name("LIST")
      ->group(pictures);
  app.add_option("--heads", a.heads, "Which heads (all)")->type_name("LIST")->group(pictures);

  const char* const teaching = "Teaching models";
  auto* input =
      app.add_option("-i,--input", a.input,
                     "FILE.json, FILE.npy, or - for standard input: nested lists, or {input name: "
                     "nested lists}; without it the model's own sample");
  auto* sentence = app.add_option("-s,--sentence", a.sentence,
                                  "The input in words that the model knows, blanks between them");
  input->type_name("FILE")->group(teaching);
  sentence->type_name("TEXT")->group(teaching)->excludes(input);
}

}  // namespace

void declare(CLI::App& app, Arguments& arguments) {
  declare_model(app, arguments);
  declare_text(app, arguments);
  declare_rest(app, arguments);
  app.footer(
      "Exit codes: 0 done, 2 wrong use, 3 invalid model or data, 4 input or output failed,\n"
      "            5 not enough memory, 6 numerical failure, 130 interrupted\n\n"
      "Examples:\n"
      "  attn-run                                   the trained pink elephant\n"
      "  attn-run smollm2.gguf -p 'The capital of France is' -n 24 --temp 0\n"
      "  attn-run smollm2.gguf --chat\n"
      "  attn-run smollm2.gguf --lora adapter:0.5 --chat\n"
      "  attn-run smollm2.gguf --batch-file prompts.jsonl -n 64 > answers.jsonl\n"
      "  attn-run smollm2.gguf -p 'too big' -n 0 --attention heads.html\n"
      "  attn-run all-minilm-l6-v2 --similarity -f sentences.jsonl\n"
      "  attn-run model.bin --input x.npy --json");
}

Options open_options(const Arguments& arguments) {
  Options options;
  options.threads = thread_count(arguments.threads);
  options.verify = arguments.verify;
  options.profile = arguments.profile;
  options.adapters = adapter_list(arguments.adapters);
  options.precision = precision_choice(arguments.precision);
  return options;
}

namespace {

[[noreturn]] void refuse(const std::string& names, const char* needed,
                         const std::string& architecture) {
  throw Error(ErrorKind::usage, names + ": for " + needed + ", and this model is " + architecture);
}

std::string generation_options(const Arguments& a) {
  // "-n 0", only to read, is what encoders do
  return given_of({{"--predict", a.count.value_or("0") != "0"},
                   {"--context", a.context.has_value()},
                   {"--batch", a.batch.has_value()},
                   {"--kv-type", a.kv_type.has_value()},
                   {"--temp", a.temperature.has_value()},
                   {"--top-k", a.top_k.has_value()},
                   {"--top-p", a.top_p.has_value()},
                   {"--min-p", a.min_p.has_value()},
                   {"--repeat-penalty", a.repeat_penalty.has_value()},
                   {"--seed", a.seed.has_value()},
                   {"--stop", !a.stop.empty()},
                   {"--lookup", a.lookup},
                   {"--batch-file", a.batch_file.has_value()},
                   {"--parallel", a.parallel.has_value()},
                   {"--chat", a.chat},
                   {"--system", a.system.has_value()},
                   {"--logits", a.logits.has_value()},
                   {"--top-logits", a.top_logits.has_value()},
                   {"--perplexity", a.perplexity.has_value()},
                   {"--max-tokens", a.max_tokens.has_value()}});
}

std::string encoder_options(const Arguments& a) {
  return given_of({{"--embed", a.embed}, {"--similarity", a.similarity}});
}

}  // namespace

void refuse_text_options(const Arguments& a, const std::string& architecture) {
  const std::string names = given_of({{"--prompt", a.prompt.has_value()},
                                      {"--file", a.file.has_value()},
                                      {"--tokens", a.tokens.has_value()},
                                      {"--tokenize", a.tokenize},
                                      {"--layers", a.layers.has_value()},
                                      {"--heads", a.heads.has_value()}});
  if (!names.empty()) refuse(names, "language models and encoders", architecture);
  refuse_generation_options(a, architecture);
  refuse_encoder_options(a, architecture);
}

void refuse_generation_options(const Arguments& a, const std::string& architecture) {
  const std::string names = generation_options(a);
  if (!names.empty()) refuse(names, "language models", architecture);
}

void refuse_encoder_options(const Arguments& a, const std::string& architecture) {
  const std::string names = encoder_options(a);
  if (!names.empty()) refuse(names, "encoders", architecture);
}

void refuse_tensor_options(const Arguments& a, const std::string& architecture) {
  const std::string names =
      given_of({{"--input", a.input.has_value()}, {"--sentence", a.sentence.has_value()}});
  if (!names.empty()) refuse(names, "teaching models", architecture);
}

}  // namespace attn::tools
