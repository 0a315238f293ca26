#pragma once

#include "kernels/isa.hpp"
#include "kernels/workers.hpp"
#include "runtime/graph.hpp"
#include "runtime/memory.hpp"
#include "runtime/op.hpp"
#include "runtime/packs.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace attn::runtime {

struct MemoryBlock;
struct PlannedNode;

/// Memory for a weight, or for a state that is to be shared. The caller keeps it alive.
struct Binding {
  ValueId value;
  void* data;
};

struct SessionOptions {
  kernels::Isa isa = kernels::Isa::scalar;
  kernels::Workers* workers = nullptr;  ///< null: the caller's thread
  /// The largest number each symbol may take; memory is planned for these.
  std::vector<std::int64_t> bounds;
  bool profile = false;  ///< time every node
  Precision precision = Precision::automatic;
  /// Where packed weights are kept; null: with the session.
  std::shared_ptr<Packs> packs = nullptr;
  /// Weights that something else writes between runs, so that no packed copy of them may be kept.
  std::vector<ValueId> written_elsewhere = {};
  /// Bytes that arena and states may take together.
  std::optional<std::size_t> memory_limit = {};
  /// Of arena and states; null: the system.
  std::shared_ptr<const Allocator> allocator = nullptr;
  /// Where it becomes true, a run ends before its next node; null: never.
  std::shared_ptr<const std::atomic<bool>> cancel = nullptr;
};

/// What a node cost, summed over all runs.
struct ProfileRow {
  NodeId node{};
  std::string op, shape, note;
  std::int64_t calls = 0;
  double seconds = 0;
};

/// Where the memory of a session goes, in bytes.
struct MemoryReport {
  std::size_t arena = 0;    ///< inputs, results, scratch
  std::size_t results = 0;  ///< what the results would take without sharing
  std::size_t scratch = 0;  ///< what the kernels' scratch would take without sharing
  std::size_t states = 0;
  int results_in_place = 0;  ///< results that took over an input's memory
};

/// A graph made ready to run: the nodes that the fetched values need, their kernels bound for one
/// ISA level, their memory planned in one arena. Running allocates nothing. One thread at a time;
/// sessions on the same graph and the same read-only weights are independent. The graph outlives
/// the session.
class Session {
 public:
  /// Throws Error(invalid) on a weight without a binding, a binding of something else than a weight
  /// or a state, or a bound that is missing or negative, Error(memory) if arena and states cannot
  /// be had or exceed the limit. States cost no memory before they are written.
  Session(const Graph& graph, std::span<const ValueId> fetches, std::span<const Binding> bindings,
          SessionOptions options);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// Gives every symbol its number; needed before the first run of a graph that has symbols. Throws
  /// Error(invalid) on a number that is negative or above its bound (the session then stays as it
  /// was), or too small for a node (the session then has no shapes until a resize succeeds).
  void resize(std::span<const std::int64_t> symbols);

  /// The tensor of an input (to be filled), a fetched value or a state, in the present shapes.
  [[nodiscard]] const TensorView& tensor(ValueId id) const;

  /// Runs every node once. Throws what a kernel throws on data it cannot compute with,
  /// Error(invalid) where there are no shapes yet, and Error(cancelled) where options().cancel says
  /// so and no node has begun to write weights: results and states are then anything.
  void run();

  /// Sets all states of this session to zero.
  void reset_states() noexcept;

  [[nodiscard]] std::size_t node_count() const noexcept;
  [[nodiscard]] const MemoryReport& memory() const noexcept { return memory_; }
  /// One row a node, in the order of running.
  [[nodiscard]] std::vector<ProfileRow> profile() const;
  [[nodiscard]] const SessionOptions& options() const noexcept { return options_; }

 private:
  struct Step;

  [[nodiscard]] Memory allocate(std::size_t bytes) const;
  void check_limit(std::size_t bytes) const;
  void find_dependences();
  void take_nodes(std::vector<PlannedNode> nodes);
  [[nodiscard]] bool bf16_grade() const;
  void bind_kernels();
  void find_last_stop();
  void stop_if_cancelled() const;
  void bind_memory(std::span<const Binding> bindings);
  void plan();
  void plan_scratch(std::vector<MemoryBlock>& blocks);
  [[nodiscard]] bool may_take_over(const Node& node, std::size_t i) const;
  void look(std::span<const std::int64_t> symbols, std::uint64_t changed,
            std::vector<TensorView>& views) const;
  void resolve(std::uint64_t changed);
  [[nodiscard]] std::size_t bytes_at_bounds(ValueId id) const;
  [[nodiscard]] std::size_t aligned_bytes(ValueId id) const;

  const Graph* graph_;
  SessionOptions options_;
  std::vector<ValueId> fetches_;
  std::vector<Step> steps_;
  std::size_t last_stop_ = 0;           ///< the steps before which a run may end
  std::vector<bool> used_;              ///< by value: does anything that runs read or write it?
  std::vector<std::byte*> data_;        ///< by value that is its own storage
  std::vector<TensorView> tensors_;     ///< by value, in the present shapes
  std::vector<std::uint64_t> depends_;  ///< by value: a bit for each symbol its tensor depends on
  std::vector<std::int64_t> symbols_;
  bool resolved_ = false;  ///< tensors_ and the kernels are those of symbols_
  Memory arena_, states_;
  std::vector<Memory> constants_;
  MemoryReport memory_;
};

}  // namespace attn::runtime
