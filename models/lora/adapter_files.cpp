// Adapters as Hugging Face's peft writes them
// (https://huggingface.co/docs/peft/developer_guides/checkpoint).

#include "models/lora/adapter_files.hpp"

#include "attn/error.hpp"
#include "kernels/quant/quant.hpp"
#include "models/json_config.hpp"
#include "runtime/formats/atomic_file.hpp"
#include "runtime/formats/json.hpp"
#include "runtime/formats/safetensors_writer.hpp"
#include "runtime/formats/text.hpp"
#include "runtime/stored.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <system_error>

namespace attn::models {
namespace {

using runtime::DType;
using runtime::Json;
using runtime::quote;
using runtime::TensorEntry;

constexpr std::string_view tensor_prefix = "base_model.model.";
constexpr std::string_view a_suffix = ".lora_A.weight", b_suffix = ".lora_B.weight";

void check_supported(const JsonConfig& config) {
  if (config.text("peft_type") != "LORA") {
    config.fail("peft_type: " + quote(config.text("peft_type")) + " is not done here, only LORA");
  }
  if (const std::string bias = config.text("bias"); !bias.empty() && bias != "none") {
    config.not_done("bias");
  }
  // all of them change what is computed
  for (const char* const key :
       {"use_dora", "use_qalora", "use_bdlora", "lora_bias", "fan_in_fan_out", "alpha_pattern",
        "modules_to_save", "trainable_token_indices", "target_parameters", "layer_replication",
        "alora_invocation_tokens", "arrow_config", "kasa_config"}) {
    const Json* const value = config.find(key);
    if (value == nullptr || *value == false) continue;
    if (value->is_structured() && value->empty()) continue;
    config.not_done(key);
  }
  // pissa, olora, corda, loftq and their like take what the factors begin with out of the base
  if (const Json* const initial = config.find("init_lora_weights");
      initial != nullptr && initial->is_string() && *initial != "gaussian" &&
      *initial != "orthogonal" && *initial != "eva") {
    config.not_done("init_lora_weights");
  }
}

int rank_of(const JsonConfig& config) {
  const Json& value = config.need("r");
  if (!value.is_number_integer() || value < 1 || value > most_rank) {
    config.fail("r: " + runtime::json_text(value) + " is no whole number from 1 to " +
                std::to_string(most_rank));
  }
  return value.get<int>();
}

// A list of names; empty where a pattern or a choice of layers says which modules there are.
std::vector<std::string> targets_of(const JsonConfig& config) {
  const Json& value = config.need("target_modules");
  std::vector<std::string> targets;
  if (value.is_string()) return targets;
  if (!value.is_array()) {
    config.fail("target_modules: " + runtime::json_text(value) + " is neither text nor a list");
  }
  for (const Json& each : value) {
    if (!each.is_string()) {
      config.fail("target_modules: " + runtime::json_text(each) + " is no text");
    }
    targets.push_back(each.get<std::string>());
  }
  if (config.find("layers_to_transform") != nullptr) targets.clear();
  return targets;
}

// Tells tensors from each other, and their errors.
class Tensors {
 public:
  explicit Tensors(const std::filesystem::path& path) : file_(runtime::Safetensors::open(path)) {
    file_.verify();
  }

  [[nodiscard]] std::vector<AdapterModule> modules() const {
    std::map<std::string, Pair> pairs;
    for (const TensorEntry& entry : file_.tensors()) sort_in(entry, pairs);
    if (pairs.empty()) throw Error(ErrorKind::invalid, file_.name() + ": holds no factors");
    std::vector<AdapterModule> modules;
    for (const auto& [name, pair] : pairs) modules.push_back(module_of(name, pair));
    return modules;
  }

  [[noreturn]] void fail(const std::string& tensor, const std::string& problem) const {
    throw Error(ErrorKind::invalid, file_.name() + ": tensor " + quote(tensor) + " " + problem);
  }

 private:
  struct Pair {
    const TensorEntry *a = nullptr, *b = nullptr;
  };

  void sort_in(const TensorEntry& entry, std::map<std::string, Pair>& pairs) const {
    const std::string& name = entry.name;
    const bool is_a = name.ends_with(a_suffix);
    if (name.ends_with(".lora_embedding_A") || name.ends_with(".lora_embedding_B")) {
      fail(name, "adapts an embedding, which is not done here");
    }
    if (!name.starts_with(tensor_prefix) || !(is_a || name.ends_with(b_suffix))) {
      fail(name, "is no factor of LoRA: " + std::string(tensor_prefix) + "MODULE" +
                     std::string(a_suffix) + " or " + std::string(b_suffix));
    }
    std::string module =
        name.substr(tensor_prefix.size(), name.size() - tensor_prefix.size() - a_suffix.size());
    constexpr std::string_view bert = "bert.";  // of a model with a head
    if (module.starts_with(bert)) module.erase(0, bert.size());
    const TensorEntry*& place = is_a ? pairs[module].a : pairs[module].b;
    if (place != nullptr) fail(name, "is there twice, the other being " + quote(place->name));
    place = &entry;
  }

  [[nodiscard]] AdapterModule module_of(const std::string& name, const Pair& pair) const {
    if (pair.a == nullptr || pair.b == nullptr) {
      fail((pair.a == nullptr ? pair.b : pair.a)->name,
           pair.a == nullptr ? "has no lora_A beside it" : "has no lora_B beside it");
    }
    for (const TensorEntry* const each : {pair.a, pair.b}) {
      if (each->shape.size() != 2 || each->shape[0] < 1 || each->shape[1] < 1) {
        fail(each->name, "has shape " + runtime::shape_text(each->shape) + ", no matrix");
      }
    }
    AdapterModule module;
    module.name = name;
    module.rank = pair.a->shape[0];
    module.in = pair.a->shape[1];
    module.out = pair.b->shape[0];
    if (module.rank > most_rank) {
      fail(pair.a->name, "has " + std::to_string(module.rank) + " rows, above the limit of " +
                             std::to_string(most_rank));
    }
    if (pair.b->shape[1] != module.rank) {
      fail(pair.b->name, "has shape " + runtime::shape_text(pair.b->shape) + ", and its lora_A " +
                             runtime::shape_text(pair.a->shape));
    }
    module.a = values_of(*pair.a);
    module.b = values_of(*pair.b);
    return module;
  }

  [[nodiscard]] std::vector<float> values_of(const TensorEntry& entry) const {
    const auto count = static_cast<std::size_t>(entry.shape[0] * entry.shape[1]);
    std::vector<float> values(count);
    if (entry.dtype == DType::f64) {
      for (std::size_t i = 0; i < count; ++i) {
        double value = 0;
        std::memcpy(&value, entry.data.data() + i * sizeof value, sizeof value);
        values[i] = static_cast<float>(value);
        if (!std::isfinite(values[i])) {
          fail(entry.name, "holds at " + std::to_string(i) + " a number that no F32 can be");
        }
      }
      return values;
    }
    const auto type = runtime::weight_type(entry.dtype);
    if (!type) {
      fail(entry.name,
           "is " + std::string(runtime::dtype_name(entry.dtype)) + ", none of F64, F32, F16, BF16");
    }
    kernels::dequantize(kernels::Isa::scalar, *type, static_cast<kernels::index_t>(count),
                        entry.data.data(), values.data());
    return values;
  }

  runtime::Safetensors file_;
};

void check_ranks(const JsonConfig& config, const Tensors& tensors, const AdapterFile& adapter) {
  const Json* const pattern = config.find("rank_pattern");
  if (pattern != nullptr && !pattern->is_object()) {
    config.fail("rank_pattern: " + runtime::json_text(*pattern) + " is no object");
  }
  for (const AdapterModule& module : adapter.modules) {
    if (module.rank == adapter.rank || (pattern != nullptr && !pattern->empty())) continue;
    tensors.fail(
        module.name + std::string(a_suffix),
        "has " + std::to_string(module.rank) + " rows, and r is " + std::to_string(adapter.rank));
  }
}

std::string config_text(const AdapterFile& adapter) {
  Json ranks = Json::object();
  for (const AdapterModule& module : adapter.modules) {
    if (module.rank != adapter.rank) ranks[module.name] = module.rank;
  }
  const bool decoder =
      !adapter.modules.empty() && adapter.modules.front().name.starts_with("model.layers.");
  Json config = Json::object();
  config["alpha_pattern"] = Json::object();
  config["base_model_name_or_path"] = adapter.base;
  config["bias"] = "none";
  config["fan_in_fan_out"] = false;
  config["inference_mode"] = true;
  config["init_lora_weights"] = true;
  config["lora_dropout"] = adapter.dropout;
  config["modules_to_save"] = nullptr;
  config["peft_type"] = "LORA";
  config["r"] = adapter.rank;
  config["rank_pattern"] = std::move(ranks);
  config["target_modules"] = adapter.targets;
  config["task_type"] = decoder ? "CAUSAL_LM" : "FEATURE_EXTRACTION";
  config["use_dora"] = false;
  config["use_rslora"] = adapter.use_rslora;
  // PEFT declares a whole number
  constexpr auto largest = static_cast<double>(runtime::largest_json_integer);
  if (std::fabs(adapter.alpha) <= largest && std::trunc(adapter.alpha) == adapter.alpha) {
    config["lora_alpha"] = static_cast<std::int64_t>(adapter.alpha);
  } else {
    config["lora_alpha"] = adapter.alpha;
  }
  return config.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

void check_finite(const AdapterFile& adapter) {
  for (const AdapterModule& module : adapter.modules) {
    for (const auto* const factor : {&module.a, &module.b}) {
      if (std::all_of(factor->begin(), factor->end(), [](float x) { return std::isfinite(x); })) {
        continue;
      }
      throw Error(ErrorKind::numerical, std::string(factor == &module.a ? "lora_A" : "lora_B") +
                                            " of " + quote(module.name) + " is not finite");
    }
  }
}

}  // namespace

double AdapterFile::scale(const AdapterModule& module) const {
  const auto r = static_cast<double>(module.rank);
  return alpha / (use_rslora ? std::sqrt(r) : r);
}

AdapterFile read_adapter(const std::filesystem::path& folder) {
  const JsonConfig config(folder / adapter_config_name);
  check_supported(config);
  AdapterFile adapter;
  adapter.rank = rank_of(config);
  (void)config.need("lora_alpha");
  adapter.alpha = *config.number("lora_alpha");
  adapter.dropout = config.number("lora_dropout").value_or(0);
  if (adapter.dropout < 0 || adapter.dropout >= 1) {
    config.fail("lora_dropout: " + runtime::json_text(config.need("lora_dropout")) +
                " is not in [0, 1)");
  }
  adapter.use_rslora = config.flag("use_rslora");
  adapter.base = config.text("base_model_name_or_path");
  adapter.targets = targets_of(config);
  const Tensors tensors(folder / adapter_weights_name);
  adapter.modules = tensors.modules();
  check_ranks(config, tensors, adapter);
  if (adapter.targets.empty()) {
    for (const AdapterModule& module : adapter.modules) adapter.targets.push_back(module.name);
  }
  return adapter;
}

void write_adapter(const std::filesystem::path& folder, const AdapterFile& adapter) {
  check_finite(adapter);
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw Error(ErrorKind::io, runtime::path_text(folder) + ": " + error.message());
  std::vector<TensorEntry> entries;
  for (const AdapterModule& module : adapter.modules) {
    const std::string name = std::string(tensor_prefix) + module.name;
    entries.push_back({name + std::string(a_suffix),
                       DType::f32,
                       {module.rank, module.in},
                       std::as_bytes(std::span(module.a))});
    entries.push_back({name + std::string(b_suffix),
                       DType::f32,
                       {module.out, module.rank},
                       std::as_bytes(std::span(module.b))});
  }
  runtime::AtomicFile weights(folder / adapter_weights_name), config(folder / adapter_config_name);
  runtime::append_safetensors(weights, folder / adapter_weights_name, {{"format", "pt"}}, entries);
  const std::string text = config_text(adapter);
  config.write(std::as_bytes(std::span(text)));
  runtime::AtomicFile::commit(weights, config);
}

}  // namespace attn::models
