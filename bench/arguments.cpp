#include "bench/arguments.hpp"

#include "attn/error.hpp"
#include "kernels/workers.hpp"
#include "tools/common/tool.hpp"

namespace attn::bench {
namespace {

constexpr int most_tokens = 1 << 20, most_threads = 1024, most_repetitions = 10000;
constexpr int most_parallel = 64;  // as BatchOptions::parallel

std::vector<int> numbers(std::string_view option, const std::optional<std::string>& text,
                         int otherwise, int low, int high) {
  if (!text) return {otherwise};
  std::vector<int> values;
  for (const std::string& word : tools::word_list(option, *text)) {
    values.push_back(static_cast<int>(tools::whole_number(option, word, low, high)));
  }
  return values;
}

struct Lengths {
  int shortest, longest;
};

// "128", or of an encoder's texts "5..200".
std::vector<Lengths> prompt_lengths(const std::optional<std::string>& text, bool encoder) {
  constexpr std::string_view option = "--n-prompt", dots = "..";
  const std::string usual = encoder ? "128" : "512";
  std::vector<Lengths> all;
  for (const std::string& word : tools::word_list(option, text.value_or(usual))) {
    const auto number = [&](const std::string& part, int low) {
      return static_cast<int>(tools::whole_number(option, part, low, most_tokens));
    };
    const std::size_t at = word.find(dots);
    if (at == std::string::npos) {
      const int length = number(word, 0);
      all.push_back({length, length});
    } else if (!encoder) {
      throw Error(ErrorKind::usage, std::string(option) + " " + word +
                                        ": texts of several lengths are for encoders, and this "
                                        "is a language model");
    } else {
      const int shortest = number(word.substr(0, at), 1);
      const int longest = number(word.substr(at + dots.size()), 1);
      if (longest < shortest) {
        throw Error(ErrorKind::usage,
                    std::string(option) + " " + word + ": needs the shorter length first");
      }
      all.push_back({shortest, longest});
    }
  }
  return all;
}

// One text has one length.
void check_texts(const Lengths& lengths, int texts) {
  if (lengths.shortest == lengths.longest || texts > 1) return;
  throw Error(ErrorKind::usage, "--batch-size 1: needs 2 texts or more for --n-prompt " +
                                    std::to_string(lengths.shortest) + ".." +
                                    std::to_string(lengths.longest));
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
       "Tokens of a prompt (512), or of each text of an encoder (128); 0: none. 5..200 for an "
       "encoder: as many texts as -b says, their lengths spread evenly over 5 to 200");
  list("-n,--n-gen", a.generate, "LIST", "Tokens to generate, one by one (128); 0: none");
  list("-b,--batch-size", a.batch, "LIST",
       "Language models: tokens of a prompt read at a time (512); encoders: texts embedded "
       "together (1)");
  list("-d,--n-depth", a.depth, "LIST", "Tokens in the cache before (0)");
  list("--parallel", a.parallel, "LIST",
       "Answers generated together, each after a prompt of as many tokens as -d says, 1 to 64 (1)");
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
      "  attn-bench -m all-minilm-l6-v2 -p 5..200 -b 64\n"
      "  attn-bench -m smollm2.gguf -p 0 -n 64 -d 64 --parallel 1,16\n"
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
  if (encoder && (a.generate || a.depth || a.parallel || a.kv_type)) {
    const std::string name = a.generate   ? "--n-gen"
                             : a.depth    ? "--n-depth"
                             : a.parallel ? "--parallel"
                                          : "--kv-type";
    throw Error(ErrorKind::usage, name + ": for language models, and this model is an encoder");
  }
  const std::vector<Lengths> prompts = prompt_lengths(a.prompt, encoder);
  const auto batches = numbers("--batch-size", a.batch, encoder ? 1 : 512, 1, most_tokens);
  const auto generated = numbers("--n-gen", a.generate, encoder ? 0 : 128, 0, most_tokens);
  const auto depths = numbers("--n-depth", a.depth, 0, 0, most_tokens);
  const auto parallel = numbers("--parallel", a.parallel, 1, 1, most_parallel);
  const auto threads = numbers("--threads", a.threads, kernels::default_threads(), 1, most_threads);
  std::vector<Test> all;
  for (const int t : threads) {
    for (const int depth : depths) {
      for (const int batch : batches) {
        for (const Lengths& prompt : prompts) {
          if (encoder) check_texts(prompt, batch);
          if (prompt.longest == 0) continue;
          all.push_back({.prompt = prompt.longest,
                         .shortest = prompt.shortest,
                         .batch = batch,
                         .depth = depth,
                         .threads = t});
        }
      }
      for (const int together : parallel) {
        for (const int count : generated) {
          if (count == 0) continue;
          // tokens are generated one by one, whatever size a prompt is read in
          all.push_back({.generate = count,
                         .batch = batches.front(),
                         .depth = depth,
                         .parallel = together,
                         .threads = t});
        }
      }
    }
  }
  if (all.empty()) throw Error(ErrorKind::usage, "--n-prompt 0: leaves nothing to measure");
  return all;
}

}  // namespace attn::bench
