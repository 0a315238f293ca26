#include "models/training/parameters.hpp"

#include "attn/error.hpp"
#include "models/lora/adapted.hpp"
#include "models/random.hpp"
#include "runtime/formats/text.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

namespace attn::models {

using runtime::DType;
using runtime::Role;

Numbers::Numbers(std::size_t bytes)
    : data_(static_cast<std::byte*>(std::calloc(std::max<std::size_t>(bytes, 1), 1))),
      bytes_(bytes) {
  if (!data_) {
    throw Error(ErrorKind::memory, "no memory for tuning: " + std::to_string(bytes) + " bytes");
  }
}

void Numbers::clear() noexcept { std::memset(data_.get(), 0, bytes_); }
void Numbers::Free::operator()(std::byte* p) const noexcept { std::free(p); }

std::string gradient_state(const std::string& parameter) { return parameter + ".gradient"; }

bool is_target(std::string_view module, std::string_view target) {
  if (module == target) return true;
  return module.size() > target.size() && module.ends_with(target) &&
         module[module.size() - target.size() - 1] == '.';
}

namespace {

constexpr std::string_view weight_suffix = ".weight";

// A projection inside a layer: what an adapter may stand beside.
bool adaptable(const WeightSpec& spec) {
  return !spec.lora && spec.shape.size() == 2 && spec.storage == Storage::stored &&
         spec.name.ends_with(weight_suffix) &&
         (spec.name.find(".layers.") != std::string::npos ||
          spec.name.find(".layer.") != std::string::npos);
}

std::string module_of(const WeightSpec& spec) {
  return spec.name.substr(0, spec.name.size() - weight_suffix.size());
}

// The projections of attention by the names that decoders and encoders have for them.
const std::vector<std::string>& usual_targets() {
  static const std::vector<std::string> names{
      "q_proj", "k_proj", "v_proj", "o_proj", "query", "key", "value", "attention.output.dense"};
  return names;
}

std::size_t elements_of(const Dims& shape) {
  std::size_t elements = 1;
  for (const std::int64_t dim : shape) elements *= static_cast<std::size_t>(dim);
  return elements;
}

template <class T>
void copy_numbers(const std::vector<float>& from, std::byte* to) {
  auto* const numbers = reinterpret_cast<T*>(to);
  for (std::size_t i = 0; i < from.size(); ++i) numbers[i] = static_cast<T>(from[i]);
}

template <class T>
bool all_finite(const Parameter& parameter) {
  const auto* const numbers = reinterpret_cast<const T*>(parameter.value.data());
  return std::all_of(numbers, numbers + parameter.elements, [](T x) { return std::isfinite(x); });
}

}  // namespace

Parameters::Parameters(std::span<const WeightSpec> model, const TuneOptions& options,
                       bool hold_gradients, DType number)
    : number_(number),
      hold_(hold_gradients),
      lora_(options.method == TuneMethod::lora),
      seed_(options.seed) {
  for (const WeightSpec& spec : model) {
    WeightSpec own = spec;
    if (!lora_ || number == DType::f64) {
      own.dtype = number;
      own.layout = runtime::WeightLayout::rows;
      own.storage = Storage::f32;
    }
    specs_.push_back(own);
    if (!lora_) add(own);
  }
  if (!lora_) return;
  add_factors(model, options.lora);
  if (number != DType::f64) return;
  for (const WeightSpec& spec : model) {
    expanded_.emplace_back(spec.name, Numbers(elements_of(spec.shape) * sizeof(double)));
  }
}

void Parameters::add(const WeightSpec& spec) {
  Parameter& parameter = all_.emplace_back();
  parameter.name = spec.name;
  parameter.shape = spec.shape;
  parameter.elements = elements_of(spec.shape);
  const std::size_t bytes = parameter.elements * runtime::dtype_size(number_);
  parameter.value = Numbers(bytes);
  parameter.m = Numbers(bytes);
  parameter.v = Numbers(bytes);
  if (hold_) parameter.gradient = Numbers(bytes);
}

void Parameters::add_factors(std::span<const WeightSpec> model, const LoraOptions& lora) {
  const bool usual = lora.targets.empty();
  std::vector<bool> found(lora.targets.size());
  for (const WeightSpec& spec : model) {
    if (spec.lora && spec.name.find(".lora_A.") != std::string::npos) {
      const std::string number = spec.name.substr(spec.name.rfind('.') + 1);
      adapter_ = std::max(adapter_, std::stoi(number) + 1);
    }
  }
  for (const WeightSpec& spec : model) {
    if (!adaptable(spec)) continue;
    const std::string module = module_of(spec);
    const std::vector<std::string>& targets = usual ? usual_targets() : lora.targets;
    bool chosen = false;
    for (std::size_t t = 0; t < targets.size(); ++t) {
      if (!is_target(module, targets[t])) continue;
      chosen = true;
      if (!usual) found[t] = true;
    }
    if (!chosen) continue;
    modules_.push_back(module);
    WeightSpec factor;
    factor.storage = Storage::f32;
    factor.dtype = number_;
    factor.lora = LoraFactor{lora.alpha / lora.rank, lora.dropout,
                             seed_ * 0x9E3779B97F4A7C15U + modules_.size()};
    factor.name = lora_a(module, adapter_);
    factor.shape = {lora.rank, spec.shape[1]};
    specs_.push_back(factor);
    add(factor);
    factor.name = lora_b(module, adapter_);
    factor.shape = {spec.shape[0], lora.rank};
    specs_.push_back(factor);
    add(factor);
  }
  for (std::size_t t = 0; t < found.size(); ++t) {
    if (found[t]) continue;
    throw Error(ErrorKind::usage,
                "targets: no projection's name ends in " + runtime::quote(lora.targets[t]));
  }
  if (modules_.empty()) {
    throw Error(ErrorKind::usage, "targets: this model has no projections that they name");
  }
}

void Parameters::fill(const Weights& weights) {
  const auto put = [&](const std::vector<float>& from, std::byte* to) {
    if (number_ == DType::f64) {
      copy_numbers<double>(from, to);
    } else {
      copy_numbers<float>(from, to);
    }
  };
  if (!lora_) {
    for (Parameter& each : all_) put(weights.expanded(each.name), each.value.data());
    return;
  }
  Random random(seed_);
  for (Parameter& each : all_) {
    if (each.name.find(".lora_A.") == std::string::npos) continue;
    const double bound = 1 / std::sqrt(static_cast<double>(each.shape[1]));
    std::vector<float> numbers(each.elements);
    for (float& x : numbers) x = static_cast<float>(random.uniform(-bound, bound));
    put(numbers, each.value.data());
  }
  for (auto& [name, wide] : expanded_) copy_numbers<double>(weights.expanded(name), wide.data());
}

const Parameter* Parameters::find(std::string_view name) const noexcept {
  const auto found = std::find_if(all_.begin(), all_.end(),
                                  [&](const Parameter& each) { return each.name == name; });
  return found == all_.end() ? nullptr : &*found;
}

std::vector<runtime::Binding> Parameters::bindings(const runtime::Graph& graph,
                                                   const Weights& weights) const {
  std::vector<runtime::Binding> bindings;
  const auto bind = [&](Role role, const std::string& name, std::byte* data) {
    const runtime::ValueId id = graph.find(role, name);
    if (id != runtime::ValueId::none) bindings.push_back({id, data});
  };
  for (const Parameter& each : all_) {
    bind(Role::weight, each.name, each.value.data());
    bind(Role::state, each.name + ".adam_m", each.m.data());
    bind(Role::state, each.name + ".adam_v", each.v.data());
    if (hold_) bind(Role::state, gradient_state(each.name), each.gradient.data());
  }
  for (const auto& [name, numbers] : expanded_) bind(Role::weight, name, numbers.data());
  if (lora_ && number_ != DType::f64) {
    for (const runtime::Binding& binding : weights.bindings(graph)) bindings.push_back(binding);
  }
  return bindings;
}

bool Parameters::finite() const {
  return std::all_of(all_.begin(), all_.end(), [&](const Parameter& each) {
    return number_ == DType::f64 ? all_finite<double>(each) : all_finite<float>(each);
  });
}

std::size_t Parameters::elements() const {
  std::size_t sum = 0;
  for (const Parameter& each : all_) sum += each.elements;
  return sum;
}

}  // namespace attn::models
