// attn-convert: packs a model into one model.bin.

#include "attn/convert.hpp"
#include "tools/common/adapters.hpp"
#include "tools/common/interrupt.hpp"
#include "tools/common/json.hpp"
#include "tools/common/terminal.hpp"
#include "tools/common/tool.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <optional>
#include <string>
#include <vector>

namespace {

using namespace attn;
using namespace attn::tools;

struct Arguments {
  std::optional<std::string> source, output, quantize, pack;
  std::vector<std::string> adapters;
  bool json = false;
};

void declare(CLI::App& app, Arguments& arguments) {
  app.add_option("-m,--model,SOURCE", arguments.source,
                 "A GGUF file, a folder in the Hugging Face layout, or a model.bin")
      ->type_name("SOURCE");
  app.add_option("-o,--output", arguments.output, "The model.bin to write")->type_name("FILE");
  app.add_option("--quantize", arguments.quantize,
                 "Store projections and embeddings as q8_0, q4_0, q4_1, bf16, f16 or f32; without "
                 "it every weight keeps its bits")
      ->type_name("TYPE");
  app.add_option("--pack", arguments.pack,
                 "Store 16-bit and quantized projections in the order that products read at avx2, "
                 "avx512 or amx (the same file for all): loading then copies none of them")
      ->type_name("ISA");
  app.add_option("--lora", arguments.adapters,
                 "Merge an adapter, a folder in PEFT's layout, into the weights, times SCALE (1); "
                 "may be repeated. Merged weights keep their type where it is f32, f16 or bf16, "
                 "and become q8_0 where it was a block format, unless --quantize says another")
      ->type_name("DIR[:SCALE]")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_flag("--json", arguments.json, "Print what was done as JSON");
  app.footer(
      "Exit codes: 0 done, 2 wrong use, 3 invalid model or data, 4 input or output failed,\n"
      "            5 not enough memory, 6 numerical failure, 130 interrupted\n\n"
      "Examples:\n"
      "  attn-convert smollm2.gguf -o smollm2.bin && attn-run smollm2.bin --chat\n"
      "  attn-convert all-minilm-l6-v2 -o minilm.bin --quantize q8_0\n"
      "  attn-convert smollm2.gguf -o smollm2.bin --pack avx512\n"
      "  attn-convert smollm2.gguf -o tuned.bin --lora adapter");
}

std::string text_of(const Converted& done, const std::string& output, bool pack) {
  constexpr double mebibyte = 1024 * 1024;
  std::string text =
      fmt::format("{}: {}, {} tensors, {:.1f} MiB of weights", output, done.architecture,
                  done.tensors, static_cast<double>(done.bytes_after) / mebibyte);
  if (done.requantized > 0) {
    text += fmt::format(" (from {:.1f} MiB, {} re-encoded)",
                        static_cast<double>(done.bytes_before) / mebibyte, done.requantized);
  }
  if (done.merged > 0) text += fmt::format(", {} merged", done.merged);
  if (done.packed > 0) text += fmt::format(", {} packed", done.packed);
  text += "\n";
  if (pack && done.packed == 0) {
    text += "nothing to pack: the projections are F32, which --quantize would change\n";
  }
  for (const std::string& name : done.as_f16) {
    text += "as f16, since its rows do not divide into blocks: " + name + "\n";
  }
  return text;
}

std::string json_of(const Converted& done, const std::string& output) {
  JsonObject object;
  object.add("output", json_string(output));
  object.add("architecture", json_string(done.architecture));
  object.add("tensors", std::to_string(done.tensors));
  object.add("requantized", std::to_string(done.requantized));
  object.add("merged", std::to_string(done.merged));
  object.add("packed", std::to_string(done.packed));
  object.add("bytes_before", std::to_string(done.bytes_before));
  object.add("bytes_after", std::to_string(done.bytes_after));
  object.add("as_f16", json_list(done.as_f16));
  return object.text() + "\n";
}

}  // namespace

int main(int argc, char** argv) {
  return run_tool("attn-convert", [&](Out& out) {
    CLI::App app("Packs a model into one model.bin.", "attn-convert");
    Arguments arguments;
    declare(app, arguments);
    if (!parse_arguments(app, argc, argv, out)) return;
    if (!arguments.source) throw Error(ErrorKind::usage, "a model to convert is missing");
    if (!arguments.output) throw Error(ErrorKind::usage, "-o FILE is missing");
    check_output_file(*arguments.output);
    ConvertOptions options;
    options.quantize = arguments.quantize.value_or("");
    options.pack = arguments.pack.value_or("");
    options.adapters = adapter_list(arguments.adapters);
    ProgressBar progress("converting");
    const HoldInterrupts hold;  // the file is whole, or not there
    options.on_progress = [&](std::int64_t done, std::int64_t total) {
      HoldInterrupts::check();
      if (progress.due()) progress.show(done, total, fmt::format("{} MB", done / 1'000'000));
    };
    const Converted done = convert(*arguments.source, *arguments.output, options);
    progress.clear();
    out.print(arguments.json ? json_of(done, *arguments.output)
                             : text_of(done, *arguments.output, arguments.pack.has_value()));
  });
}
