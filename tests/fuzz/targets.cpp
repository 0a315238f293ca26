#include "fuzz/targets.hpp"

#include <algorithm>
#include <array>

namespace attn::fuzz {
namespace {

constexpr char separator = '\x1e';

// Longest inputs: a few of what the good seeds hold. Words and tokens do not know more of a text
// than a line of it, and short ones are tried ten times as often.
constexpr std::size_t line = 512, text = 4096, file = 16384;
constexpr std::array<Target, 12> all{
    {{"json", run_json, json_seeds, text, "json"},
     {"safetensors", run_safetensors, safetensors_seeds, text, "json"},
     {"gguf", run_gguf, gguf_seeds, file, "gguf"},
     {"model_bin", run_model_bin, model_bin_seeds, file, "json"},
     {"config", run_config, config_seeds, text, "json"},
     {"tokenizer_json", run_tokenizer_json, tokenizer_json_seeds, file, "json"},
     {"byte_pairs", run_byte_pairs, text_seeds, line, "text"},
     {"wordpiece", run_wordpiece, text_seeds, line, "text"},
     {"chat_template", run_chat_template, chat_template_seeds, text, "jinja"},
     {"checkpoint", run_checkpoint, checkpoint_seeds, file, "json"},
     {"adapter", run_adapter, adapter_seeds, text, "json"},
     {"data_lines", run_data_lines, data_lines_seeds, text, "json"}}};

}  // namespace

std::span<const Target> targets() { return all; }

const Target& find_target(std::string_view name) {
  const auto* const found =
      std::find_if(all.begin(), all.end(), [&](const Target& each) { return each.name == name; });
  if (found != all.end()) return *found;
  std::string names;
  for (const Target& each : all) names += " " + std::string(each.name);
  std::fprintf(stderr, "no target '%s'; there are%s\n", std::string(name).c_str(), names.c_str());
  std::exit(2);
}

std::vector<std::string_view> parts_of(std::string_view input, std::size_t most) {
  std::vector<std::string_view> parts;
  while (parts.size() + 1 < most) {
    const std::size_t end = input.find(separator);
    if (end == std::string_view::npos) break;
    parts.push_back(input.substr(0, end));
    input.remove_prefix(end + 1);
  }
  parts.push_back(input);
  return parts;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string all_parts;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) all_parts += separator;
    all_parts += parts[i];
  }
  return all_parts;
}

}  // namespace attn::fuzz
