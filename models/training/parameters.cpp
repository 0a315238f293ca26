#include "models/training/parameters.hpp"

#include "attn/error.hpp"
#include "models/lora/adapted.hpp"
#include "runtime/formats/text.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace attn::models {

using runtime::DType;
using runtime::Role;

namespace {

constexpr std::size_t alignment = 64;  // a cache line, and an AVX-512 register

}  // namespace

Numbers::Numbers(std::size_t bytes, std::shared_ptr<const runtime::Allocator> allocator)
    : memory_(runtime::Memory::zeros(std::max<std::size_t>(bytes, 1), alignment,
                                     std::move(allocator), "tuning")),
      bytes_(bytes) {}

void Numbers::clear() noexcept { std::memset(memory_.data(), 0, bytes_); }

std::string gradient_state(const std::string& parameter) { return parameter + ".gradient"; }

namespace {

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

Parameters::Parameters(std::span<const WeightSpec> model, std::optional<AdapterFile> adapter,
                       double dropout, std::uint64_t seed, bool hold_gradients, DType number,
                       std::shared_ptr<const runtime::Allocator> allocator)
    : number_(number),
      hold_(hold_gradients),
      allocator_(std::move(allocator)),
      adapter_(std::move(adapter)) {
  for (const WeightSpec& spec : model) {
    WeightSpec own = spec;
    if (!adapter_ || number == DType::f64) {
      own.dtype = number;
      own.layout = runtime::WeightLayout::rows;
      own.storage = Storage::f32;
    }
    specs_.push_back(own);
    if (!adapter_) add(own);
  }
  if (!adapter_) return;
  add_factors(dropout, seed);
  if (number != DType::f64) return;
  for (const WeightSpec& spec : model) {
    expanded_.emplace_back(spec.name, zeros(elements_of(spec.shape)));
  }
}

Numbers Parameters::zeros(std::size_t elements) const {
  return {elements * runtime::dtype_size(number_), allocator_};
}

void Parameters::add(const WeightSpec& spec) {
  Parameter& parameter = all_.emplace_back();
  parameter.name = spec.name;
  parameter.shape = spec.shape;
  parameter.elements = elements_of(spec.shape);
  parameter.value = zeros(parameter.elements);
  parameter.m = zeros(parameter.elements);
  parameter.v = zeros(parameter.elements);
  if (hold_) parameter.gradient = zeros(parameter.elements);
}

void Parameters::add_factors(double dropout, std::uint64_t seed) {
  constexpr std::uint64_t apart = 0x9E3779B97F4A7C15;  // 2⁶⁴ / the golden ratio: no two seeds meet
  for (const AdapterModule& module : adapter_->modules) {
    // behind the factors of the model's own adapters
    const int place = next_adapter(specs_, module.name);
    WeightSpec factor;
    factor.dtype = number_;
    seed += apart;
    factor.lora = LoraFactor{adapter_->scale(module), dropout, seed};
    factor.name = lora_a(module.name, place);
    factor.shape = {module.rank, module.in};
    specs_.push_back(factor);
    add(factor);
    factor.name = lora_b(module.name, place);
    factor.shape = {module.out, module.rank};
    specs_.push_back(factor);
    add(factor);
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
  if (!adapter_) {
    for (Parameter& each : all_) put(weights.expanded(each.name), each.value.data());
    return;
  }
  for (std::size_t i = 0; i < adapter_->modules.size(); ++i) {
    put(adapter_->modules[i].a, all_[2 * i].value.data());
    put(adapter_->modules[i].b, all_[2 * i + 1].value.data());
  }
  for (auto& [name, wide] : expanded_) copy_numbers<double>(weights.expanded(name), wide.data());
}

AdapterFile Parameters::adapter() const {
  AdapterFile now = *adapter_;
  const auto take = [&](std::vector<float>& to, const Parameter& from) {
    for (std::size_t i = 0; i < to.size(); ++i) {
      to[i] = number_ == DType::f64
                  ? static_cast<float>(reinterpret_cast<const double*>(from.value.data())[i])
                  : reinterpret_cast<const float*>(from.value.data())[i];
    }
  };
  for (std::size_t i = 0; i < now.modules.size(); ++i) {
    take(now.modules[i].a, all_[2 * i]);
    take(now.modules[i].b, all_[2 * i + 1]);
  }
  return now;
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
  if (adapter_ && number_ != DType::f64) {
    for (const runtime::Binding& binding : weights.bindings(graph)) bindings.push_back(binding);
  }
  return bindings;
}

const Parameter* Parameters::not_finite() const noexcept {
  const auto found = std::find_if_not(all_.begin(), all_.end(), [&](const Parameter& each) {
    return number_ == DType::f64 ? all_finite<double>(each) : all_finite<float>(each);
  });
  return found == all_.end() ? nullptr : &*found;
}

void Parameters::require_finite(const std::filesystem::path& target) const {
  const Parameter* const found = not_finite();
  if (found == nullptr) return;
  throw Error(ErrorKind::numerical, runtime::path_text(target) + ": was not written: " +
                                        found->name + " is no longer finite");
}

std::size_t Parameters::elements() const {
  std::size_t sum = 0;
  for (const Parameter& each : all_) sum += each.elements;
  return sum;
}

}  // namespace attn::models
