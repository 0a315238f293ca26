#include "kernels/reduce/reduce.hpp"
#include "runtime/op.hpp"
#include "runtime/ops.hpp"
#include "runtime/ops/defs.hpp"

#include <algorithm>

namespace attn::runtime {
namespace {

std::vector<ValueType> infer(const InferContext& c) {
  c.require_number(0);
  c.require(c.shape(0).rank() >= 1, "x needs a dimension");
  return {{c.dtype(0), Shape{c.shape(0)[-1]}}};
}

template <class T>
class SumColumnsKernel final : public Kernel {
 public:
  explicit SumColumnsKernel(const BindContext& c) : isa_(c.isa) {}

  void prepare(const Operands& o) override {
    rows_ = o.inputs[0].rows();
    cols_ = o.inputs[0].cols();
    x_ = o.inputs[0].as<const T>();
    y_ = o.outputs[0].as<T>();
  }
  void run(kernels::Workers& workers) override {
    kernels::sum_columns(isa_, workers, rows_, cols_, x_, cols_, y_);
  }

 private:
  kernels::Isa isa_;
  kernels::index_t rows_ = 0, cols_ = 0;
  const T* x_ = nullptr;
  T* y_ = nullptr;
};

// repeat_rows: g [cols] and x [.., cols] (for its shape) → g in every row of [.., cols]
std::vector<ValueType> infer_repeat(const InferContext& c) {
  c.require_number(0);
  c.require(c.shape(1).rank() >= 1 && c.shape(0) == Shape{c.shape(1)[-1]},
            "the gradient has another shape");
  return {{c.dtype(0), c.shape(1)}};
}

template <class T>
class RepeatRowsKernel final : public Kernel {
 public:
  explicit RepeatRowsKernel(const BindContext& /*context*/) {}

  void prepare(const Operands& o) override {
    rows_ = o.outputs[0].rows();
    cols_ = o.outputs[0].cols();
    g_ = o.inputs[0].as<const T>();
    dx_ = o.outputs[0].as<T>();
  }
  void run(kernels::Workers& /*workers*/) override {
    for (kernels::index_t r = 0; r < rows_; ++r) std::copy(g_, g_ + cols_, dx_ + r * cols_);
  }

 private:
  kernels::index_t rows_ = 0, cols_ = 0;
  const T* g_ = nullptr;
  T* dx_ = nullptr;
};

void gradient(GradientContext& c) {
  c.give(0, c.graph.apply(repeat_rows_op, {c.arrived(0), c.input(0)}));
}

}  // namespace

const OpDef sum_columns_op{.name = "sum_columns",
                           .infer = infer,
                           .bind = make_kernel<SumColumnsKernel>,
                           .gradient = gradient};
const OpDef repeat_rows_op{
    .name = "repeat_rows", .infer = infer_repeat, .bind = make_kernel<RepeatRowsKernel>};

ValueId sum_columns(Graph& graph, ValueId x) { return graph.apply(sum_columns_op, {x}); }

}  // namespace attn::runtime
