#include "bench/arguments.hpp"

#include "attn/error.hpp"
#include "kernels/workers.hpp"
#include "tools/common/tool.hpp"

namespace attn::bench {
namespace {

constexpr int most_tokens = 1 << 20, most_threads = 1024, most_repetitions = 10000;

std::vector<int> numbers(std::string_view option, const std::optional<std::string>& text,
                         int otherwise, int low, int high) {
  if (!text) return {otherwise};
  std::vector<int> values;
  for (const std::string& word : tools::word_list(option, *text)) {
    values.push_back(static_cast<int>(tools::whole_number(option, word, low, high)));
  }
  return values;
}

}  // namespace

void declare(CLI::App& app, Arguments& a) {
  CLI::Option* model =
      app.add_option("-m,--model,MODEL", a.model,
                     "Measure a model: a model.bin, a GGUF file or a Hugging Face folder")
          ->type_name("FILE");
  const auto list = [&](const char* names, auto& value, const char* type, const char* help) {
    return app.add_option(names, value, help)
        ->type_name(type)
        ->group("Models (lists: every combination is measured)")
        ->needs(model);
  };
  list("-p,--n-prompt", a.prompt, "LIST",
       "Tokens of a prompt (512), or of each text of an encoder (128); 0: none");
  list("-n,--n-gen", a.generate, "LIST", "Tokens to generate, one by one (128); 0: none");
  list("-b,--batch-size", a.batch, "LIST",
       "Language models: tokens of a prompt read at a time (512); encoders: texts embedded "
       "together (1)");
  list("-d,--n-depth", a.depth, "LIST", "Tokens in the cache before (0)");
  list("-t,--threads", a.threads, "LIST",
       "Threads; without it the processors that this process may use");
  list("-r,--repetitions", a.repetitions, "N", "Runs measured, after one to warm up (5)");
  list("--precision", a.precision, "NAME", "auto (by the weights' type), f32 or bf16");
  list("--kv-type", a.kv_type, "NAME", "Of a language model's cache: f32, bf16 or q8_0 (f32)");

  app.add_flag("--machine", a.machine, "Measure what this machine can do at most");
  app.add_option("--kernels", a.kernels,
                 "Measure the kernels whose name REGEX matches (all), beside oneDNN and OpenBLAS; "
                 "--benchmark_… are Google Benchmark's own flags, and imply this")
      ->expected(0, 1)
      ->type_name("REGEX");
  app.add_option("--compare", a.compare,
                 "Compare two results in JSON; exit code 1 if a test is slower: if the means of "
                 "its tokens a second differ by more than 3% and by more than twice the standard "
                 "error of their difference")
      ->expected(2)
      ->type_name("OLD NEW");
  app.add_option("-o,--output", a.output, "md, csv, json or jsonl (md)")->type_name("FORMAT");
  app.set_help_flag("-h,--help", "Print this");
  app.set_version_flag("--version", std::string("attn-bench ") + ATTN_VERSION, "Print the version");
  app.footer(
      "Every test runs in a process of its own. Cold: after the model's files were dropped from\n"
      "the page cache; start to first token: from before opening the model. % of limit: prompts\n"
      "and texts of multiply-adds in registers, generated tokens of reading the weights from\n"
      "where they fit, both measured here. ATTN_ISA=scalar|avx2|avx512|amx chooses the level.\n\n"
      "Exit codes: 0 done, 1 slower (--compare), 2 wrong use, 3 invalid model or data,\n"
      "            4 input or output failed, 5 not enough memory, 6 numerical failure,\n"
      "            130 interrupted\n\n"
      "Examples:\n"
      "  attn-bench -m smollm2.gguf -p 128,512 -n 64 -t 1,2\n"
      "  attn-bench -m all-minilm-l6-v2 -p 16,128 -b 1,8 -o json > new.json\n"
      "  attn-bench --compare old.json new.json\n"
      "  attn-bench --kernels matmul -o json");
}

Options open_options(const Arguments& arguments, int threads) {
  Options options;
  options.threads = threads;
  const std::string precision = arguments.precision.value_or("auto");
  if (precision == "f32") {
    options.precision = Precision::f32;
  } else if (precision == "bf16") {
    options.precision = Precision::bf16;
  } else if (precision != "auto") {
    throw Error(ErrorKind::usage, "--precision " + precision + ": needs auto, f32 or bf16");
  }
  return options;
}

int repetitions(const Arguments& arguments) {
  return static_cast<int>(tools::whole_number("--repetitions", arguments.repetitions.value_or("5"),
                                              1, most_repetitions));
}

std::vector<Test> tests(const Arguments& a, bool encoder) {
  if (encoder && (a.generate || a.depth || a.kv_type)) {
    const std::string name = a.generate ? "--n-gen" : a.depth ? "--n-depth" : "--kv-type";
    throw Error(ErrorKind::usage, name + ": for language models, and this model is an encoder");
  }
  const auto prompts = numbers("--n-prompt", a.prompt, encoder ? 128 : 512, 0, most_tokens);
  const auto batches = numbers("--batch-size", a.batch, encoder ? 1 : 512, 1, most_tokens);
  const auto generated = numbers("--n-gen", a.generate, encoder ? 0 : 128, 0, most_tokens);
  const auto depths = numbers("--n-depth", a.depth, 0, 0, most_tokens);
  const auto threads = numbers("--threads", a.threads, kernels::default_threads(), 1, most_threads);
  std::vector<Test> all;
  for (const int t : threads) {
    for (const int depth : depths) {
      for (const int batch : batches) {
        for (const int prompt : prompts) {
          if (prompt > 0) all.push_back({prompt, 0, batch, depth, t});
        }
      }
      for (const int count : generated) {
        // tokens are generated one by one, whatever size a prompt is read in
        if (count > 0) all.push_back({0, count, batches.front(), depth, t});
      }
    }
  }
  if (all.empty()) throw Error(ErrorKind::usage, "--n-prompt 0: leaves nothing to measure");
  return all;
}

}  // namespace attn::bench
