// New rows for a state that grows from run to run, as a KV cache does: of one sequence, or of many
// that have a slot each.

#include "attn/error.hpp"
#include "runtime/cache_runs.hpp"
#include "runtime/op.hpp"
#include "runtime/ops.hpp"
#include "runtime/ops/defs.hpp"

#include <cstring>

namespace attn::runtime {
namespace {

// inputs: the rows of the state that there will be [length, width], the new ones [count, width];
// output: the first, in its memory
std::vector<ValueType> infer(const InferContext& c) {
  const Shape &state = c.shape(0), &rows = c.shape(1);
  c.require(c.dtype(0) == c.dtype(1) && dtype_block(c.dtype(0)) == 1, "types differ");
  c.require(state.rank() == 2 && rows.rank() == 2 && state[1] == rows[1],
            "rows [count, width] are appended to [length, width]");
  return {{c.dtype(0), state}};
}

class AppendKernel final : public Kernel {
 public:
  void prepare(const Operands& o) override {
    const TensorView &state = o.inputs[0], &rows = o.inputs[1];
    const std::int64_t before = state.dim(0) - rows.dim(0);
    if (before < 0) {
      throw Error(ErrorKind::invalid, "append: " + std::to_string(rows.dim(0)) +
                                          " rows are more than the " +
                                          std::to_string(state.dim(0)) + " that there will be");
    }
    const auto row = static_cast<std::size_t>(state.dim(1)) * dtype_size(state.dtype);
    bytes_ = static_cast<std::size_t>(rows.dim(0)) * row;
    from_ = static_cast<const std::byte*>(rows.data);
    to_ = static_cast<std::byte*>(state.data) + static_cast<std::size_t>(before) * row;
  }
  void run(kernels::Workers& /*workers*/) override {
    if (bytes_ > 0) std::memcpy(to_, from_, bytes_);
  }

 private:
  std::size_t bytes_ = 0;
  const std::byte* from_ = nullptr;
  std::byte* to_ = nullptr;
};

std::unique_ptr<Kernel> bind(const BindContext& /*context*/) {
  return std::make_unique<AppendKernel>();
}

// inputs: a state [slots, capacity, width], new rows [count, width], runs I32 [runs, 4]; output:
// the state, in its memory
std::vector<ValueType> infer_runs(const InferContext& c) {
  const Shape &state = c.shape(0), &rows = c.shape(1);
  c.require(c.dtype(0) == c.dtype(1) && dtype_block(c.dtype(0)) == 1, "types differ");
  c.require(state.rank() == 3 && rows.rank() == 2 && state[2] == rows[1],
            "rows [count, width] are appended in [slots, capacity, width]");
  c.require(c.dtype(2) == DType::i32 && c.shape(2).rank() == 2 && c.shape(2)[1] == Dim(4),
            "runs are I32 [runs, 4]");
  return {{c.dtype(0), state}};
}

class AppendRunsKernel final : public Kernel {
 public:
  void prepare(const Operands& o) override {
    state_ = o.inputs[0];
    rows_ = o.inputs[1];
    runs_ = o.inputs[2];
  }
  void run(kernels::Workers& /*workers*/) override {
    const std::span<const kernels::CacheRun> runs = cache_runs(runs_, rows_.dim(0), state_);
    const auto row = static_cast<std::size_t>(rows_.dim(1)) * dtype_size(state_.dtype);
    for (const kernels::CacheRun& run : runs) {
      const auto to = run.slot * state_.dim(1) + run.length - run.rows;
      std::memcpy(
          static_cast<std::byte*>(state_.data) + static_cast<std::size_t>(to) * row,
          static_cast<const std::byte*>(rows_.data) + static_cast<std::size_t>(run.first) * row,
          static_cast<std::size_t>(run.rows) * row);
    }
  }

 private:
  TensorView state_, rows_, runs_;
};

std::unique_ptr<Kernel> bind_runs(const BindContext& /*context*/) {
  return std::make_unique<AppendRunsKernel>();
}

}  // namespace

const OpDef append_op{
    .name = "append", .infer = infer, .bind = bind, .writes = 0b1, .aliases = true};
const OpDef append_runs_op{
    .name = "append_runs", .infer = infer_runs, .bind = bind_runs, .writes = 0b1, .aliases = true};

ValueId append(Graph& graph, ValueId state, ValueId rows, Dim length) {
  if (graph.value(state).role != Role::state) {
    throw Error(ErrorKind::invalid, "append: appends to states only");
  }
  return graph.apply(append_op, {first(graph, state, 0, length), rows});
}

ValueId append_runs(Graph& graph, ValueId state, ValueId rows, ValueId runs) {
  if (graph.value(state).role != Role::state) {
    throw Error(ErrorKind::invalid, "append_runs: appends to states only");
  }
  return graph.apply(append_runs_op, {state, rows, runs});
}

}  // namespace attn::runtime
