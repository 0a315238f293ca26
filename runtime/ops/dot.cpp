#include "kernels/elementwise/elementwise.hpp"
#include "kernels/reduce/reduce.hpp"
#include "runtime/op.hpp"
#include "runtime/ops.hpp"
#include "runtime/ops/defs.hpp"

namespace attn::runtime {
namespace {

std::vector<ValueType> infer(const InferContext& c) {
  c.require_number(0);
  c.require_number(1);
  c.require(c.shape(0) == c.shape(1), "the two shapes differ");
  return {{c.dtype(0), Shape{}}};
}

template <class T>
class DotKernel final : public Kernel {
 public:
  explicit DotKernel(const BindContext& c) : isa_(c.isa) {}

  void prepare(const Operands& o) override {
    n_ = o.inputs[0].elements();
    x_ = o.inputs[0].as<const T>();
    w_ = o.inputs[1].as<const T>();
    y_ = o.outputs[0].as<T>();
  }
  void run(kernels::Workers& /*workers*/) override { *y_ = kernels::dot(isa_, n_, x_, w_); }

 private:
  kernels::Isa isa_;
  kernels::index_t n_ = 0;
  const T *x_ = nullptr, *w_ = nullptr;
  T* y_ = nullptr;
};

// scaled_by: w times the scalar g
std::vector<ValueType> infer_scaled(const InferContext& c) {
  c.require_number(0);
  c.require_number(1);
  c.require(c.shape(1).rank() == 0, "the factor is a scalar");
  return {{c.dtype(0), c.shape(0)}};
}

template <class T>
class ScaledByKernel final : public Kernel {
 public:
  explicit ScaledByKernel(const BindContext& c) : isa_(c.isa) {}

  void prepare(const Operands& o) override {
    n_ = o.inputs[0].elements();
    w_ = o.inputs[0].as<const T>();
    g_ = o.inputs[1].as<const T>();
    y_ = o.outputs[0].as<T>();
  }
  void run(kernels::Workers& workers) override {
    kernels::affine(isa_, workers, n_, *g_, T{0}, w_, y_);
  }

 private:
  kernels::Isa isa_;
  kernels::index_t n_ = 0;
  const T *w_ = nullptr, *g_ = nullptr;
  T* y_ = nullptr;
};

void gradient(GradientContext& c) {
  if (c.wanted(0)) c.give(0, c.graph.apply(scaled_by_op, {c.input(1), c.arrived(0)}));
}

}  // namespace

const OpDef dot_op{
    .name = "dot", .infer = infer, .bind = make_kernel<DotKernel>, .gradient = gradient};
const OpDef scaled_by_op{.name = "scaled_by",
                         .infer = infer_scaled,
                         .bind = make_kernel<ScaledByKernel>,
                         .in_place = 0b1};

ValueId dot(Graph& graph, ValueId x, ValueId w) { return graph.apply(dot_op, {x, w}); }

}  // namespace attn::runtime
