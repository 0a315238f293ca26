#include "attn/error.hpp"
#include "runtime/op.hpp"
#include "runtime/ops.hpp"
#include "runtime/ops/defs.hpp"
#include "runtime/ops/sequences.hpp"

#include <algorithm>
#include <string>

namespace attn::runtime {
namespace {

// Of a result: where it is to come from only a session knows.
struct RowCount {
  Dim rows;
};

// Sums that a thread holds at a time: 1 KiB of its stack.
constexpr kernels::index_t sums_at_once = 128;

void check_count(kernels::index_t count, const TensorView& sequences) {
  if (sequences.dim(0) == count + 1) return;
  throw Error(ErrorKind::invalid, "mean_rows: " + std::to_string(sequences.dim(0)) +
                                      " bounds for " + std::to_string(count) + " sequences");
}

std::vector<ValueType> infer(const InferContext& c) {
  c.require_number(0);
  c.require(c.shape(0).rank() == 2, "x is [rows, cols]");
  c.require(c.dtype(1) == DType::i32 && c.shape(1).rank() == 1, "sequences are I32 [count + 1]");
  return {{c.dtype(0), Shape{c.attributes<RowCount>().rows, c.shape(0)[1]}}};
}

template <class T>
class MeanRowsKernel final : public Kernel {
 public:
  explicit MeanRowsKernel(const BindContext& /*context*/) {}

  void prepare(const Operands& o) override {
    rows_ = o.inputs[0].dim(0);
    count_ = o.outputs[0].dim(0);
    cols_ = o.outputs[0].dim(1);
    check_count(count_, o.inputs[1]);
    x_ = o.inputs[0].as<const T>();
    starts_ = o.inputs[1].as<const std::int32_t>();
    y_ = o.outputs[0].as<T>();
  }
  void run(kernels::Workers& workers) override {
    check_sequences("mean_rows", count_, starts_, rows_);
    kernels::parallel_for(workers, count_, [&](kernels::index_t s, int /*worker*/) {
      for (kernels::index_t c = 0; c < cols_; c += sums_at_once) {
        mean(starts_[s], starts_[s + 1], c, std::min(sums_at_once, cols_ - c), y_ + s * cols_ + c);
      }
    });
  }

 private:
  // in float64, so that long sequences lose nothing
  void mean(kernels::index_t from, kernels::index_t to, kernels::index_t col,
            kernels::index_t width, T* y) const {
    double sums[sums_at_once] = {};
    for (kernels::index_t r = from; r < to; ++r) {
      const T* const row = x_ + r * cols_ + col;
      for (kernels::index_t i = 0; i < width; ++i) sums[i] += static_cast<double>(row[i]);
    }
    const auto length = static_cast<double>(std::max<kernels::index_t>(1, to - from));
    for (kernels::index_t i = 0; i < width; ++i) y[i] = static_cast<T>(sums[i] / length);
  }

  kernels::index_t rows_ = 0, count_ = 0, cols_ = 0;
  const T* x_ = nullptr;
  const std::int32_t* starts_ = nullptr;
  T* y_ = nullptr;
};

// inputs: dy [count, cols], sequences → dx [rows, cols]
std::vector<ValueType> infer_spread(const InferContext& c) {
  c.require_number(0);
  return {{c.dtype(0), Shape{c.attributes<RowCount>().rows, c.shape(0)[1]}}};
}

template <class T>
class SpreadRowsKernel final : public Kernel {
 public:
  explicit SpreadRowsKernel(const BindContext& /*context*/) {}

  void prepare(const Operands& o) override {
    count_ = o.inputs[0].dim(0);
    cols_ = o.inputs[0].dim(1);
    rows_ = o.outputs[0].dim(0);
    check_count(count_, o.inputs[1]);
    dy_ = o.inputs[0].as<const T>();
    starts_ = o.inputs[1].as<const std::int32_t>();
    dx_ = o.outputs[0].as<T>();
  }
  // the mean itself need not be part of the session, so the sequences are checked here as well
  void run(kernels::Workers& workers) override {
    check_sequences("mean_rows", count_, starts_, rows_);
    kernels::parallel_for(workers, count_, [&](kernels::index_t s, int /*worker*/) {
      const T* const dy = dy_ + s * cols_;
      const T part = T{1} / static_cast<T>(std::max(1, starts_[s + 1] - starts_[s]));
      for (kernels::index_t r = starts_[s]; r < starts_[s + 1]; ++r) {
        for (kernels::index_t i = 0; i < cols_; ++i) dx_[r * cols_ + i] = part * dy[i];
      }
    });
  }

 private:
  kernels::index_t count_ = 0, cols_ = 0, rows_ = 0;
  const T* dy_ = nullptr;
  const std::int32_t* starts_ = nullptr;
  T* dx_ = nullptr;
};

void gradient(GradientContext& c) {
  if (!c.wanted(0)) return;
  const RowCount rows{c.graph.value(c.input(0)).shape[0]};
  c.give(0, c.graph.apply(spread_rows_op, {c.arrived(0), c.input(1)}, rows));
}

}  // namespace

const OpDef mean_rows_op{
    .name = "mean_rows", .infer = infer, .bind = make_kernel<MeanRowsKernel>, .gradient = gradient};
const OpDef spread_rows_op{
    .name = "spread_rows", .infer = infer_spread, .bind = make_kernel<SpreadRowsKernel>};

ValueId mean_rows(Graph& graph, ValueId x, ValueId sequences, Dim count) {
  return graph.apply(mean_rows_op, {x, sequences}, RowCount{count});
}

}  // namespace attn::runtime
