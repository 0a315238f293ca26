#include "models/runner.hpp"

#include "attn/error.hpp"
#include "models/profile.hpp"
#include "runtime/formats/text.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace attn::models {

using runtime::TensorView;
using runtime::ValueId;

namespace {

constexpr std::int64_t unknown = -1;

}  // namespace

Runner::Runner(const Architecture& architecture, const Metadata& metadata,
               std::span<const WeightSpec> specs, const Weights& weights, bool batched,
               runtime::SessionOptions options)
    : weights_(&weights), options_(std::move(options)) {
  architecture.build(graph_, metadata, specs, batched);
  for (std::size_t i = 0; i < graph_.values().size(); ++i) {
    if (graph_.values()[i].role == runtime::Role::input) {
      inputs_.push_back(static_cast<ValueId>(i));
    }
  }
  for (const runtime::Output& output : graph_.outputs()) fetches_.push_back(output.value);
  given_.resize(inputs_.size());
  symbols_.resize(graph_.symbols().size());
}

std::string Runner::expected(ValueId id) const {
  return "'" + graph_.value(id).name + "' " + graph_.shape_text(id);
}

// Finds the tensor for every input, and the number behind every symbol.
void Runner::match(std::span<const Input> inputs) {
  std::fill(given_.begin(), given_.end(), nullptr);
  std::fill(symbols_.begin(), symbols_.end(), unknown);
  for (const Input& input : inputs) {
    const auto id = std::find_if(inputs_.begin(), inputs_.end(), [&](ValueId candidate) {
      return graph_.value(candidate).name == input.name;
    });
    if (id == inputs_.end()) {
      std::string known;
      for (const ValueId each : inputs_) known += (known.empty() ? "" : ", ") + expected(each);
      throw Error(ErrorKind::usage,
                  "unknown input " + runtime::quote(input.name) + "; the model takes " + known);
    }
    const Input*& given = given_[static_cast<std::size_t>(id - inputs_.begin())];
    if (given != nullptr) {
      throw Error(ErrorKind::usage, "input '" + std::string(input.name) + "' is given twice");
    }
    given = &input;
  }
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    const runtime::Value& value = graph_.value(inputs_[i]);
    if (given_[i] == nullptr) {
      throw Error(ErrorKind::usage, "input " + expected(inputs_[i]) + " is missing");
    }
    const Input& input = *given_[i];
    const auto misfit = [&](const std::string& what) {
      return Error(ErrorKind::invalid, "input '" + value.name + "' has shape " +
                                           runtime::shape_text(input.shape) + what +
                                           "; the model takes " + graph_.shape_text(inputs_[i]));
    };
    const bool ids = value.dtype == runtime::DType::i32;
    if (ids != std::holds_alternative<std::span<const std::int32_t>>(input.values)) {
      throw Error(ErrorKind::usage, "input '" + value.name + "' takes " +
                                        (ids ? "token ids (int32)" : "numbers (float)"));
    }
    if (input.shape.size() != value.shape.dims().size()) throw misfit("");
    std::size_t elements = 1;
    for (std::size_t d = 0; d < input.shape.size(); ++d) {
      const runtime::Dim dim = value.shape[static_cast<int>(d)];
      const std::int64_t extent = input.shape[d];
      if (extent < 1) throw misfit(", with nothing in dimension " + std::to_string(d));
      if (__builtin_mul_overflow(elements, static_cast<std::size_t>(extent), &elements)) {
        throw misfit(", which does not fit an address space");
      }
      if (!dim.symbolic()) {
        if (dim.extent != extent) throw misfit("");
        continue;
      }
      std::int64_t& symbol = symbols_[static_cast<std::size_t>(dim.symbol)];
      if (symbol != unknown && symbol != extent) throw misfit(", unlike another input");
      symbol = extent;
    }
    const std::size_t size = std::visit([](auto values) { return values.size(); }, input.values);
    if (size != elements) {
      throw misfit(" but " + std::to_string(size) + " values");
    }
  }
}

// The first shape is planned for as it is; a number that grows gets room to grow further, if memory
// has it.
void Runner::replan(std::span<const std::int64_t> symbols) {
  std::vector<std::int64_t> roomy, tight;
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    const std::int64_t before = session_ ? session_->options().bounds[i] : 0;
    constexpr std::int64_t doubling_limit = std::int64_t{1} << 40;
    const bool grows = session_ && symbols[i] > before && symbols[i] < doubling_limit;
    tight.push_back(std::max(before, symbols[i]));
    roomy.push_back(
        grows ? static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(symbols[i])))
              : tight.back());
  }
  const auto planned = [&](std::vector<std::int64_t> bounds) {
    runtime::SessionOptions options = options_;
    options.bounds = std::move(bounds);
    return std::make_unique<runtime::Session>(graph_, fetches_, weights_->bindings(graph_),
                                              std::move(options));
  };
  std::unique_ptr<runtime::Session> fresh;
  try {
    fresh = planned(roomy);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::memory || roomy == tight) throw;
    fresh = planned(tight);
  }
  earlier_ = profile();
  outputs_.clear();
  session_ = std::move(fresh);
}

runtime::Session& Runner::session(std::span<const std::int64_t> symbols) {
  bool fits = session_ != nullptr;
  for (std::size_t i = 0; fits && i < symbols.size(); ++i) {
    fits = symbols[i] <= session_->options().bounds[i];
  }
  if (!fits) replan(symbols);
  session_->resize(symbols);
  return *session_;
}

void Runner::refresh_outputs() {
  if (!outputs_.empty() && shown_ == symbols_) return;
  outputs_.clear();
  std::vector<Output> fresh;
  for (const runtime::Output& output : graph_.outputs()) {
    const TensorView& tensor = session_->tensor(output.value);
    fresh.push_back({output.name,
                     {tensor.dims.begin(), tensor.dims.begin() + tensor.rank},
                     {tensor.as<const float>(), static_cast<std::size_t>(tensor.elements())}});
  }
  shown_ = symbols_;
  outputs_ = std::move(fresh);
}

std::span<const Output> Runner::run(std::span<const Input> inputs) {
  match(inputs);
  runtime::Session& ready = session(symbols_);
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    std::visit(
        [&](auto values) {
          std::memcpy(ready.tensor(inputs_[i]).data, values.data(), values.size_bytes());
        },
        given_[i]->values);
  }
  ready.run();
  refresh_outputs();
  return outputs_;
}

std::vector<OpProfile> Runner::profile() const {
  std::vector<OpProfile> rows = earlier_;
  if (session_ && options_.profile) add_profile(rows, *session_);
  return rows;
}

}  // namespace attn::models
