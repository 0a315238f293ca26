#include "models/weights.hpp"

#include "attn/error.hpp"
#include "models/random.hpp"
#include "runtime/formats/mapped_file.hpp"
#include "runtime/formats/text.hpp"
#include "runtime/stored.hpp"
#include "runtime/tiled.hpp"

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

namespace {

using runtime::DType;
using runtime::TensorEntry;

[[noreturn]] void fail(const std::string& tensor, const std::string& problem) {
  throw Error(ErrorKind::invalid, "tensor '" + tensor + "' " + problem);
}

Weights::Tensor taken(const TensorEntry& entry, Storage storage) {
  const auto type = runtime::weight_type(entry.dtype);
  if (!type || (storage == Storage::f32 && entry.dtype != DType::f32)) {
    fail(entry.name, "is " + std::string(runtime::dtype_name(entry.dtype)) +
                         (storage == Storage::f32 ? ", not F32" : ", no type of weights"));
  }
  Weights::Tensor tensor;
  tensor.shape = entry.shape;
  const bool aligned = reinterpret_cast<std::uintptr_t>(entry.data.data()) % alignof(float) == 0;
  const bool in_place = entry.dtype == DType::f32 ? aligned : storage == Storage::stored;
  if (in_place) {
    tensor.dtype = entry.dtype;
    tensor.layout = entry.layout;
    // read-only memory; a session writes weights only while training, which works on a copy
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast)
    tensor.data = const_cast<std::byte*>(entry.data.data());
  } else {
    std::vector<std::byte> rows;
    if (entry.layout == runtime::WeightLayout::tiles) {
      rows = runtime::to_rows(entry.dtype, entry.shape, entry.data);
    }
    tensor.own.resize(tensor.elements());
    kernels::dequantize(kernels::Isa::scalar, *type,
                        static_cast<kernels::index_t>(tensor.own.size()),
                        rows.empty() ? entry.data.data() : rows.data(), tensor.own.data());
    tensor.data = tensor.own.data();
  }
  return tensor;
}

}  // namespace

namespace {

// From the first tile to the last, with the little that stands between; empty if there are none.
std::span<const std::byte> tiles_of(const Source& source) {
  const std::byte *first = nullptr, *last = nullptr;
  for (const TensorEntry& entry : source.tensors) {
    if (entry.layout != runtime::WeightLayout::tiles) continue;
    const std::byte* const begin = entry.data.data();
    if (first == nullptr || begin < first) first = begin;
    if (last == nullptr || begin + entry.data.size() > last) last = begin + entry.data.size();
  }
  return {first, last};
}

}  // namespace

std::size_t Weights::Tensor::bytes() const {
  if (layout == runtime::WeightLayout::tiles) return *runtime::tiled_size(dtype, shape);
  return runtime::dtype_bytes(dtype, static_cast<std::int64_t>(elements()));
}

Weights Weights::from_source(const Source& source, std::span<const WeightSpec> specs) {
  Weights weights;
  weights.file_ = source.keep_alive;
  weights.mapped_ = source.mapped;
  if (source.mapped) runtime::advise_streamed(tiles_of(source));
  std::map<std::string_view, const TensorEntry*> entries;
  for (const TensorEntry& entry : source.tensors) entries[entry.name] = &entry;
  for (const WeightSpec& spec : specs) {
    const auto found = entries.find(spec.name);
    if (found == entries.end()) {
      fail(spec.name, "is missing; its shape would be " + runtime::shape_text(spec.shape));
    }
    const TensorEntry& entry = *found->second;
    if (entry.shape != spec.shape) {
      fail(spec.name, "has shape " + runtime::shape_text(entry.shape) + ", not " +
                          runtime::shape_text(spec.shape));
    }
    weights.tensors_[spec.name] = taken(entry, spec.storage);
  }
  for (const TensorEntry& entry : source.tensors) {
    if (!source.foreign && !weights.tensors_.contains(entry.name)) {
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

void Weights::add(const std::string& name, Dims shape, std::vector<float> values) {
  Tensor& tensor = tensors_[name];
  tensor.shape = std::move(shape);
  tensor.own = std::move(values);
  tensor.data = tensor.own.data();
}

Weights Weights::writable_copy() const {
  Weights copy;
  for (const auto& [name, tensor] : tensors_) {
    Tensor& to = copy.tensors_[name];
    to.shape = tensor.shape;
    const auto* const from = static_cast<const float*>(tensor.data);
    to.own.assign(from, from + tensor.elements());
    to.data = to.own.data();
  }
  return copy;
}

std::vector<float> Weights::expanded(std::string_view name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) fail(std::string(name), "is missing");
  const Tensor& tensor = found->second;
  const auto* from = static_cast<const std::byte*>(tensor.data);
  std::vector<std::byte> rows;
  if (tensor.layout == runtime::WeightLayout::tiles) {
    rows = runtime::to_rows(tensor.dtype, tensor.shape, {from, tensor.bytes()});
    from = rows.data();
  }
  std::vector<float> numbers(tensor.elements());
  kernels::dequantize(kernels::Isa::scalar, *runtime::weight_type(tensor.dtype),
                      static_cast<kernels::index_t>(numbers.size()), from, numbers.data());
  return numbers;
}

std::size_t Weights::elements() const {
  std::size_t sum = 0;
  for (const auto& [name, tensor] : tensors_) sum += tensor.elements();
  return sum;
}

std::size_t Weights::bytes() const {
  std::size_t sum = 0;
  for (const auto& [name, tensor] : tensors_) sum += tensor.bytes();
  return sum;
}

void Weights::tell_mapped(runtime::Packs& packs) const {
  if (!mapped_) return;
  for (const auto& [name, tensor] : tensors_) {
    if (tensor.own.empty()) packs.mapped(tensor.data, tensor.bytes());
  }
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
