// New rows for a state that grows from run to run, as a KV cache does: of one sequence, or of many
// that have a slot each.

#include "attn/error.hpp"
#include "kernels/cache/cache.hpp"
#include "runtime/cache_runs.hpp"
#include "runtime/op.hpp"
#include "runtime/ops.hpp"
#include "runtime/ops/defs.hpp"
#include "runtime/stored.hpp"

#include <cstring>

namespace attn::runtime {
namespace {

// The types of a state and of the rows that it gets: the same, or F32 rows that a cache rounds.
void require_types(const InferContext& c) {
  const DType state = c.dtype(0), rows = c.dtype(1);
  const bool rounded = rows == DType::f32 && cache_type(state);
  c.require((state == rows && dtype_block(state) == 1) || rounded, "types differ");
  const Dim width = c.shape(0).rank() > 0 ? c.shape(0)[-1] : Dim(0);
  c.require(
      dtype_block(state) == 1 || (!width.symbolic() && width.extent % dtype_block(state) == 0),
      "rows are whole blocks of " + std::to_string(dtype_block(state)));
}

// Writes `count` rows, from row `from` on, to a state from row `first` on, in its type.
void write(kernels::Isa isa, const TensorView& state, std::int64_t first, const TensorView& rows,
           std::int64_t from, std::int64_t count) {
  const std::int64_t width = rows.dim(1), numbers = count * width;
  if (numbers == 0) return;
  const auto* const source =
      static_cast<const std::byte*>(rows.data) + dtype_bytes(rows.dtype, from * width);
  auto* const to = static_cast<std::byte*>(state.data) + dtype_bytes(state.dtype, first * width);
  if (state.dtype == rows.dtype) {
    std::memcpy(to, source, dtype_bytes(rows.dtype, numbers));
  } else {
    kernels::store_in_cache(isa, *weight_type(state.dtype), numbers,
                            reinterpret_cast<const float*>(source), to);
  }
}

// inputs: the rows of the state that there will be [length, width], the new ones [count, width];
// output: the first, in its memory
std::vector<ValueType> infer(const InferContext& c) {
  const Shape &state = c.shape(0), &rows = c.shape(1);
  require_types(c);
  c.require(state.rank() == 2 && rows.rank() == 2 && state[1] == rows[1],
            "rows [count, width] are appended to [length, width]");
  return {{c.dtype(0), state}};
}

class AppendKernel final : public Kernel {
 public:
  explicit AppendKernel(const BindContext& c) : isa_(c.isa) {}

  void prepare(const Operands& o) override {
    state_ = o.inputs[0];
    rows_ = o.inputs[1];
    if (state_.dim(0) < rows_.dim(0)) {
      throw Error(ErrorKind::invalid, "append: " + std::to_string(rows_.dim(0)) +
                                          " rows are more than the " +
                                          std::to_string(state_.dim(0)) + " that there will be");
    }
  }
  void run(kernels::Workers& /*workers*/) override {
    write(isa_, state_, state_.dim(0) - rows_.dim(0), rows_, 0, rows_.dim(0));
  }

 private:
  kernels::Isa isa_;
  TensorView state_, rows_;
};

// inputs: a state [slots, capacity, width], new rows [count, width], runs I32 [runs, 4]; output:
// the state, in its memory
std::vector<ValueType> infer_runs(const InferContext& c) {
  const Shape &state = c.shape(0), &rows = c.shape(1);
  require_types(c);
  c.require(state.rank() == 3 && rows.rank() == 2 && state[2] == rows[1],
            "rows [count, width] are appended in [slots, capacity, width]");
  c.require(c.dtype(2) == DType::i32 && c.shape(2).rank() == 2 && c.shape(2)[1] == Dim(4),
            "runs are I32 [runs, 4]");
  return {{c.dtype(0), state}};
}

class AppendRunsKernel final : public Kernel {
 public:
  explicit AppendRunsKernel(const BindContext& c) : isa_(c.isa) {}

  void prepare(const Operands& o) override {
    state_ = o.inputs[0];
    rows_ = o.inputs[1];
    runs_ = o.inputs[2];
  }
  void run(kernels::Workers& /*workers*/) override {
    const std::span<const kernels::CacheRun> runs = cache_runs(runs_, rows_.dim(0), state_);
    for (const kernels::CacheRun& run : runs) {
      write(isa_, state_, run.slot * state_.dim(1) + run.length - run.rows, rows_, run.first,
            run.rows);
    }
  }

 private:
  kernels::Isa isa_;
  TensorView state_, rows_, runs_;
};

}  // namespace

const OpDef append_op{
    .name = "append", .infer = infer, .bind = make<AppendKernel>, .writes = 0b1, .aliases = true};
const OpDef append_runs_op{.name = "append_runs",
                           .infer = infer_runs,
                           .bind = make<AppendRunsKernel>,
                           .writes = 0b1,
                           .aliases = true};

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
