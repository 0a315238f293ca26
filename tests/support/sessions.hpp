#pragma once

#include "runtime/session.hpp"

#include <cstring>
#include <map>
#include <span>
#include <vector>

namespace attn::test {

/// A graph with numbers in its weights and inputs, run at one level.
class Run {
 public:
  Run(const runtime::Graph& graph, std::vector<runtime::ValueId> fetches,
      std::vector<runtime::Binding> weights, std::vector<std::int64_t> symbols,
      kernels::Isa isa = kernels::Isa::scalar, kernels::Workers* workers = nullptr)
      : session(graph, fetches, weights, options(isa, workers, symbols)) {
    session.resize(symbols);
  }

  template <class T>
  void set(runtime::ValueId id, const std::vector<T>& values) {
    const runtime::TensorView& tensor = session.tensor(id);
    if (!values.empty()) std::memcpy(tensor.data, values.data(), values.size() * sizeof(T));
  }

  template <class T>
  [[nodiscard]] std::vector<T> get(runtime::ValueId id) const {
    const runtime::TensorView& tensor = session.tensor(id);
    return {tensor.as<const T>(), tensor.as<const T>() + tensor.elements()};
  }

  runtime::Session session;

 private:
  static runtime::SessionOptions options(kernels::Isa isa, kernels::Workers* workers,
                                         std::vector<std::int64_t> bounds) {
    return {isa, workers, std::move(bounds), false};
  }
};

}  // namespace attn::test
