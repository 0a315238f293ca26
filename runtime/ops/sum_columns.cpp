#include "kernels/reduce/reduce.hpp"
#include "runtime/op.hpp"
#include "runtime/ops.hpp"
#include "runtime/ops/defs.hpp"

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

// every row of x gets the one row of the gradient: 0 · x + g
void gradient(GradientContext& c) {
  const ValueId zeros = affine(c.graph, c.input(0), 0, 0);
  c.give(0, add(c.graph, zeros, c.arrived(0)));
}

}  // namespace

const OpDef sum_columns_op{.name = "sum_columns",
                           .infer = infer,
                           .bind = make_kernel<SumColumnsKernel>,
                           .gradient = gradient};

ValueId sum_columns(Graph& graph, ValueId x) { return graph.apply(sum_columns_op, {x}); }

}  // namespace attn::runtime
