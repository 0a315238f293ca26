#include "kernels/elementwise/elementwise.hpp"
#include "runtime/op.hpp"
#include "runtime/ops.hpp"
#include "runtime/ops/defs.hpp"

namespace attn::runtime {
namespace {

std::vector<ValueType> infer(const InferContext& c) {
  c.require_number(0);
  return {{c.dtype(0), c.shape(0)}};
}

std::vector<ValueType> infer_backward(const InferContext& c) {
  c.require_number(0);
  c.require(c.shape(0) == c.shape(1), "the gradient has another shape");
  return {{c.dtype(0), c.shape(0)}};
}

template <class T>
class UnaryKernel final : public Kernel {
 public:
  explicit UnaryKernel(const BindContext& c)
      : isa_(c.isa), function_(c.attributes<kernels::Unary>()) {}

  void prepare(const Operands& o) override {
    n_ = o.inputs[0].elements();
    x_ = o.inputs[0].as<const T>();
    y_ = o.outputs[0].as<T>();
  }
  void run(kernels::Workers& workers) override {
    kernels::unary(isa_, workers, function_, n_, x_, y_);
  }

 private:
  kernels::Isa isa_;
  kernels::Unary function_;
  kernels::index_t n_ = 0;
  const T* x_ = nullptr;
  T* y_ = nullptr;
};

template <class T>
class UnaryBackwardKernel final : public Kernel {
 public:
  explicit UnaryBackwardKernel(const BindContext& c)
      : isa_(c.isa), function_(c.attributes<kernels::Unary>()) {}

  void prepare(const Operands& o) override {
    n_ = o.inputs[0].elements();
    x_ = o.inputs[0].as<const T>();
    dy_ = o.inputs[1].as<const T>();
    dx_ = o.outputs[0].as<T>();
  }
  void run(kernels::Workers& workers) override {
    kernels::unary_backward(isa_, workers, function_, n_, x_, dy_, dx_);
  }

 private:
  kernels::Isa isa_;
  kernels::Unary function_;
  kernels::index_t n_ = 0;
  const T *x_ = nullptr, *dy_ = nullptr;
  T* dx_ = nullptr;
};

void gradient(GradientContext& c) {
  c.give(0, c.graph.apply(unary_backward_op, {c.input(0), c.arrived(0)},
                          c.attributes<kernels::Unary>()));
}

}  // namespace

const OpDef unary_op{.name = "unary",
                     .infer = infer,
                     .bind = make_kernel<UnaryKernel>,
                     .gradient = gradient,
                     .in_place = 0b1};
const OpDef unary_backward_op{.name = "unary_backward",
                              .infer = infer_backward,
                              .bind = make_kernel<UnaryBackwardKernel>,
                              .in_place = 0b10};

ValueId unary(Graph& graph, kernels::Unary function, ValueId x) {
  return graph.apply(unary_op, {x}, function);
}

}  // namespace attn::runtime
