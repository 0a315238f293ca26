// A folder in the Hugging Face layout whose weights are good and whose other files are not.

#include "fuzz/opened.hpp"
#include "fuzz/scratch.hpp"
#include "fuzz/targets.hpp"
#include "runtime/formats/json.hpp"
#include "support/small_models.hpp"

#include <array>

namespace attn::fuzz {
namespace {

using runtime::Json;

// The parts of an input, in this order; a part that is empty or missing is a file that is missing.
constexpr std::array<const char*, 7> names{"config.json",
                                           "generation_config.json",
                                           "modules.json",
                                           "sentence_bert_config.json",
                                           "pooling/config.json",
                                           "tokenizer_config.json",
                                           "model.safetensors.index.json"};

// Weights of each kind, side by side; which are taken says the input.
std::filesystem::path folder_of(const std::string& kind) {
  const auto folder = scratch() / kind;
  if (std::filesystem::exists(folder)) return folder;
  const test::SmallModel model = test::small_model(kind);
  std::filesystem::create_directories(folder / "pooling");
  test::write_file(folder / "model.safetensors", test::safetensors_file(model));
  test::write_file(folder / "tokenizer.json", test::tokenizer_json(model.tokenizer));
  return folder;
}

}  // namespace

bool run_config(std::string_view input) {
  const auto parts = parts_of(input, names.size());
  const bool encoder = parts[0].find("\"bert\"") != std::string_view::npos;
  const bool biases = parts[0].find("\"qwen2\"") != std::string_view::npos;
  const auto folder = folder_of(encoder ? "bert" : biases ? "qwen2" : "llama");
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i < parts.size() && !parts[i].empty()) {
      test::write_file(folder / names[i], parts[i]);
    } else {
      std::filesystem::remove(folder / names[i]);
    }
  }
  return accepts([&] {
    Model model = Model::open(folder, fuzz_options());
    use(model);
  });
}

std::vector<std::string> config_seeds() {
  std::vector<std::string> seeds;
  for (const char* kind : {"llama", "qwen2", "bert"}) {
    seeds.push_back(test::config_json(test::small_model(kind)));
  }
  Json scaled = Json::parse(seeds[0]);
  scaled["rope_scaling"] = {{"rope_type", "llama3"},
                            {"factor", 8.0},
                            {"low_freq_factor", 1.0},
                            {"high_freq_factor", 4.0},
                            {"original_max_position_embeddings", 8192}};
  scaled["head_dim"] = 4;
  scaled["sliding_window"] = 4;
  scaled["eos_token_id"] = {1, 2};
  const std::string index = [] {
    Json map = Json::object();
    for (const auto& tensor : test::small_model("llama").tensors) {
      map[tensor.name] = "model.safetensors";
    }
    return Json{{"weight_map", map}}.dump();
  }();
  seeds.push_back(
      joined({scaled.dump(), R"({"eos_token_id": 2})", "", "", "",
              R"({"eos_token": "<|im_end|>", "chat_template": "{{ messages }}"})", index}));
  seeds.push_back(
      joined({seeds[2], "",
              R"([{"type": "a.Transformer", "path": ""}, {"type": "a.Pooling", "path": "pooling"},
           {"type": "a.Normalize", "path": "n"}])",
              R"({"max_seq_length": 8})", R"({"pooling_mode_mean_tokens": true})"}));
  return seeds;
}

}  // namespace attn::fuzz
