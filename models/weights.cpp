#include "models/weights.hpp"

#include "attn/error.hpp"
#include "models/random.hpp"
#include "runtime/formats/text.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace attn::models {
namespace {

std::size_t count(const Dims& shape) {
  std::size_t elements = 1;
  for (const std::int64_t dim : shape) {
    if (__builtin_mul_overflow(elements, static_cast<std::size_t>(dim), &elements)) {
      throw Error(ErrorKind::memory,
                  "a tensor " + runtime::shape_text(shape) + " does not fit memory");
    }
  }
  return elements;
}

}  // namespace

std::size_t Weights::Tensor::elements() const { return count(shape); }

Weights Weights::from_file(const runtime::Safetensors& file, std::span<const WeightSpec> specs) {
  Weights weights;
  weights.file_ = std::make_shared<runtime::Safetensors>(file);
  for (const WeightSpec& spec : specs) {
    const runtime::TensorEntry* entry = file.find(spec.name);
    if (entry == nullptr) {
      throw Error(ErrorKind::invalid, "tensor '" + spec.name + "' is missing; its shape would be " +
                                          runtime::shape_text(spec.shape));
    }
    if (entry->shape != spec.shape) {
      throw Error(ErrorKind::invalid, "tensor '" + spec.name + "' has shape " +
                                          runtime::shape_text(entry->shape) + ", not " +
                                          runtime::shape_text(spec.shape));
    }
    if (entry->dtype != runtime::DType::f32) {
      throw Error(ErrorKind::invalid, "tensor '" + spec.name + "' is " +
                                          std::string(runtime::dtype_name(entry->dtype)) +
                                          ", not F32");
    }
    Tensor& tensor = weights.tensors_[spec.name];
    tensor.shape = spec.shape;
    if (reinterpret_cast<std::uintptr_t>(entry->data.data()) % alignof(float) == 0) {
      // read-only memory; a session writes weights only while training, which works on a copy
      // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast)
      tensor.data = reinterpret_cast<float*>(const_cast<std::byte*>(entry->data.data()));
    } else {
      tensor.own.resize(tensor.elements());
      std::memcpy(tensor.own.data(), entry->data.data(), entry->data.size());
      tensor.data = tensor.own.data();
    }
  }
  for (const runtime::TensorEntry& entry : file.tensors()) {
    if (!weights.tensors_.contains(entry.name)) {
      throw Error(ErrorKind::invalid,
                  "tensor " + runtime::quote(entry.name) + " is not part of this architecture");
    }
  }
  return weights;
}

Weights Weights::random(std::span<const WeightSpec> specs, std::uint64_t seed) {
  Weights weights;
  Random random(seed);
  for (const WeightSpec& spec : specs) {
    Tensor& tensor = weights.tensors_[spec.name];
    tensor.shape = spec.shape;
    tensor.own.resize(count(spec.shape));
    const double bound = 1 / std::sqrt(static_cast<double>(std::max<std::int64_t>(1, spec.fan_in)));
    for (float& element : tensor.own) {
      if (spec.initial == Initial::normal) element = static_cast<float>(random.normal());
      if (spec.initial == Initial::uniform) {
        element = static_cast<float>(random.uniform(-bound, bound));
      }
    }
    tensor.data = tensor.own.data();
  }
  return weights;
}

Weights Weights::writable_copy() const {
  Weights copy;
  for (const auto& [name, tensor] : tensors_) {
    Tensor& to = copy.tensors_[name];
    to.shape = tensor.shape;
    to.own.assign(tensor.data, tensor.data + tensor.elements());
    to.data = to.own.data();
  }
  return copy;
}

std::size_t Weights::elements() const {
  std::size_t sum = 0;
  for (const auto& [name, tensor] : tensors_) sum += tensor.elements();
  return sum;
}

std::vector<runtime::Binding> Weights::bindings(const runtime::Graph& graph) const {
  std::vector<runtime::Binding> bindings;
  for (const auto& [name, tensor] : tensors_) {
    const runtime::ValueId id = graph.find(runtime::Role::weight, name);
    if (id != runtime::ValueId::none) bindings.push_back({id, tensor.data});
  }
  return bindings;
}

}  // namespace attn::models
