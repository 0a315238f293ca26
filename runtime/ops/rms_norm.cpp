#include "kernels/norm/norm.hpp"
#include "runtime/op.hpp"
#include "runtime/ops.hpp"
#include "runtime/ops/defs.hpp"

namespace attn::runtime {
namespace {

// inputs: x, gamma; outputs: y, rstd
std::vector<ValueType> infer(const InferContext& c) {
  c.require_number(0);
  const Shape& x = c.shape(0);
  c.require(x.rank() >= 1, "x needs a dimension");
  if (c.has(1)) {
    c.require_number(1);
    c.require(c.shape(1) == Shape{x[-1]}, "gamma is one row");
  }
  return {{c.dtype(0), x}, {c.dtype(0), x.first(x.rank() - 1)}};
}

struct ForwardTensors {
  TensorView x, gamma, y, rstd;
};

template <class T>
class RmsNormKernel final : public Kernel {
 public:
  explicit RmsNormKernel(const BindContext& c)
      : isa_(c.isa), eps_(static_cast<T>(c.attributes<double>())) {}

  void prepare(const Operands& o) override {
    o_ = {o.inputs[0], o.inputs[1], o.outputs[0], o.outputs[1]};
  }
  void run(kernels::Workers& workers) override {
    kernels::rms_norm(isa_, workers, o_.x.rows(), o_.x.cols(), eps_, o_.x.as<const T>(),
                      o_.gamma.as<const T>(), o_.y.as<T>(), o_.rstd.as<T>());
  }

 private:
  kernels::Isa isa_;
  T eps_;
  ForwardTensors o_;
};

// inputs: x, gamma, rstd, dy; outputs: dx, dgamma
std::vector<ValueType> infer_backward(const InferContext& c) {
  c.require_number(0);
  return {{c.dtype(0), c.shape(0)}, {c.dtype(0), Shape{c.shape(0)[-1]}}};
}

struct BackwardTensors {
  TensorView x, gamma, rstd, dy, dx, dgamma;
};

template <class T>
class RmsNormBackwardKernel final : public Kernel {
 public:
  explicit RmsNormBackwardKernel(const BindContext& c) : isa_(c.isa) {}

  [[nodiscard]] std::size_t scratch_bytes(const Operands& o, int /*workers*/) const override {
    return static_cast<std::size_t>(
               kernels::norm_backward_scratch(o.inputs[0].rows(), o.inputs[0].cols())) *
           sizeof(T);
  }
  void prepare(const Operands& o) override {
    o_ = {o.inputs[0], o.inputs[1], o.inputs[2], o.inputs[3], o.outputs[0], o.outputs[1]};
    scratch_ = static_cast<T*>(o.scratch);
  }
  void run(kernels::Workers& workers) override {
    kernels::rms_norm_backward(isa_, workers, o_.x.rows(), o_.x.cols(), o_.x.as<const T>(),
                               o_.gamma.as<const T>(), o_.rstd.as<const T>(), o_.dy.as<const T>(),
                               o_.dx.as<T>(), o_.dgamma.as<T>(), scratch_);
  }

 private:
  kernels::Isa isa_;
  BackwardTensors o_;
  T* scratch_ = nullptr;
};

void gradient(GradientContext& c) {
  const NodeId backward =
      c.graph.add(rms_norm_backward_op, {c.input(0), c.input(1), c.output(1), c.arrived(0)});
  const std::vector<ValueId> given = c.graph.node(backward).outputs;
  for (const std::size_t i : {0U, 1U}) {
    if (c.wanted(i)) c.give(i, given[i]);
  }
}

}  // namespace

const OpDef rms_norm_op{.name = "rms_norm",
                        .infer = infer,
                        .bind = make_kernel<RmsNormKernel>,
                        .gradient = gradient,
                        .in_place = 0b1,
                        .optional = 0b10};
const OpDef rms_norm_backward_op{.name = "rms_norm_backward",
                                 .infer = infer_backward,
                                 .bind = make_kernel<RmsNormBackwardKernel>,
                                 .optional = 0b11};

ValueId rms_norm(Graph& graph, ValueId x, ValueId gamma, double eps) {
  return graph.apply(rms_norm_op, {x, gamma}, eps);
}

}  // namespace attn::runtime
