#pragma once

#include "attn/attn.hpp"
#include "models/architecture.hpp"
#include "models/weights.hpp"
#include "runtime/session.hpp"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace attn::models {

/// An architecture's graph, and a session on it that grows with the shapes it meets. Inputs are
/// given with a batch in front, or without.
class Runner {
 public:
  Runner(const Architecture& architecture, const Metadata& metadata,
         std::span<const WeightSpec> specs, const Weights& weights, bool batched,
         runtime::SessionOptions options);

  [[nodiscard]] const runtime::Graph& graph() const noexcept { return graph_; }
  [[nodiscard]] const std::vector<runtime::ValueId>& inputs() const noexcept { return inputs_; }

  /// See Model::run.
  std::span<const Output> run(std::span<const Input> inputs);

  /// Makes the session ready for these numbers of the symbols, planning anew if one exceeds its
  /// bound.
  runtime::Session& session(std::span<const std::int64_t> symbols);

  /// Op by op over all sessions that there were.
  [[nodiscard]] std::vector<OpProfile> profile() const;

 private:
  void match(std::span<const Input> inputs);
  void replan(std::span<const std::int64_t> symbols);
  void refresh_outputs();
  [[nodiscard]] std::string expected(runtime::ValueId id) const;

  const Weights* weights_;
  runtime::SessionOptions options_;
  runtime::Graph graph_;
  std::vector<runtime::ValueId> inputs_;
  std::vector<runtime::ValueId> fetches_;
  std::unique_ptr<runtime::Session> session_;
  std::vector<const Input*> given_;    // by inputs_
  std::vector<std::int64_t> symbols_;  // the numbers of the present run
  std::vector<std::int64_t> shown_;    // those that outputs_ was made for
  std::vector<Output> outputs_;
  std::vector<OpProfile> earlier_;  // of sessions that were replaced
};

}  // namespace attn::models
