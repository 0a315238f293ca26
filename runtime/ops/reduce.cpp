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
  return {{c.dtype(0), c.shape(0).first(c.shape(0).rank() - 1)}};
}

template <class T>
class ReduceKernel final : public Kernel {
 public:
  explicit ReduceKernel(const BindContext& c) : isa_(c.isa), op_(c.attributes<kernels::Reduce>()) {}

  void prepare(const Operands& o) override {
    rows_ = o.inputs[0].rows();
    cols_ = o.inputs[0].cols();
    x_ = o.inputs[0].as<const T>();
    y_ = o.outputs[0].as<T>();
  }
  void run(kernels::Workers& workers) override {
    kernels::reduce_rows(isa_, workers, op_, rows_, cols_, x_, y_);
  }

 private:
  kernels::Isa isa_;
  kernels::Reduce op_;
  kernels::index_t rows_ = 0, cols_ = 0;
  const T* x_ = nullptr;
  T* y_ = nullptr;
};

// broadcast: g [..] and the reduced x [.., cols] (for its shape, and for max its values and result)
// →
// [.., cols]. The maximum's gradient goes to every column that holds it.
std::vector<ValueType> infer_broadcast(const InferContext& c) {
  c.require_number(0);
  const Shape& x = c.shape(1);
  c.require(x.first(x.rank() - 1) == c.shape(0), "the gradient has another shape");
  return {{c.dtype(0), x}};
}

template <class T>
class BroadcastKernel final : public Kernel {
 public:
  explicit BroadcastKernel(const BindContext& c) : op_(c.attributes<kernels::Reduce>()) {}

  void prepare(const Operands& o) override {
    rows_ = o.outputs[0].rows();
    cols_ = o.outputs[0].cols();
    g_ = o.inputs[0].as<const T>();
    x_ = o.inputs[1].as<const T>();
    y_ = o.inputs[2].as<const T>();
    dx_ = o.outputs[0].as<T>();
  }
  void run(kernels::Workers& workers) override {
    kernels::parallel_for(workers, rows_, [this](kernels::index_t r, int) {
      T* const row = dx_ + r * cols_;
      if (op_ == kernels::Reduce::max) {
        for (kernels::index_t c = 0; c < cols_; ++c)
          row[c] = x_[r * cols_ + c] == y_[r] ? g_[r] : 0;
      } else {
        std::fill(row, row + cols_,
                  op_ == kernels::Reduce::mean ? g_[r] / static_cast<T>(cols_) : g_[r]);
      }
    });
  }

 private:
  kernels::Reduce op_;
  kernels::index_t rows_ = 0, cols_ = 0;
  const T *g_ = nullptr, *x_ = nullptr, *y_ = nullptr;
  T* dx_ = nullptr;
};

void gradient(GradientContext& c) {
  c.give(0, c.graph.apply(broadcast_op, {c.arrived(0), c.input(0), c.output(0)},
                          c.attributes<kernels::Reduce>()));
}

}  // namespace

const OpDef reduce_op{
    .name = "reduce", .infer = infer, .bind = make_kernel<ReduceKernel>, .gradient = gradient};
const OpDef broadcast_op{
    .name = "broadcast", .infer = infer_broadcast, .bind = make_kernel<BroadcastKernel>};

ValueId reduce(Graph& graph, kernels::Reduce op, ValueId x) {
  return graph.apply(reduce_op, {x}, op);
}

}  // namespace attn::runtime
