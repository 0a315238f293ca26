#include "kernels/norm/norm.hpp"
#include "runtime/op.hpp"
#include "runtime/ops.hpp"
#include "runtime/ops/defs.hpp"

namespace attn::runtime {
namespace {

// inputs: x, gamma, beta; outputs: y, mean, rstd
std::vector<ValueType> infer(const InferContext& c) {
  c.require_number(0);
  const Shape& x = c.shape(0);
  c.require(x.rank() >= 1, "x needs a dimension");
  for (const std::size_t i : {1U, 2U}) {
    if (!c.has(i)) continue;
    c.require_number(i);
    c.require(c.shape(i) == Shape{x[-1]}, "gamma and beta are one row");
  }
  const Shape rows = x.first(x.rank() - 1);
  return {{c.dtype(0), x}, {c.dtype(0), rows}, {c.dtype(0), rows}};
}

struct ForwardTensors {
  TensorView x, gamma, beta, y, mean, rstd;
};

template <class T>
class LayerNormKernel final : public Kernel {
 public:
  explicit LayerNormKernel(const BindContext& c)
      : isa_(c.isa), eps_(static_cast<T>(c.attributes<double>())) {}

  void prepare(const Operands& o) override {
    o_ = {o.inputs[0], o.inputs[1], o.inputs[2], o.outputs[0], o.outputs[1], o.outputs[2]};
  }
  void run(kernels::Workers& workers) override {
    kernels::layer_norm(isa_, workers, o_.x.rows(), o_.x.cols(), eps_, o_.x.as<const T>(),
                        o_.gamma.as<const T>(), o_.beta.as<const T>(), o_.y.as<T>(),
                        o_.mean.as<T>(), o_.rstd.as<T>());
  }

 private:
  kernels::Isa isa_;
  T eps_;
  ForwardTensors o_;
};

// inputs: x, gamma, mean, rstd, dy; outputs: dx, dgamma, dbeta
std::vector<ValueType> infer_backward(const InferContext& c) {
  c.require_number(0);
  const Shape row{c.shape(0)[-1]};
  return {{c.dtype(0), c.shape(0)}, {c.dtype(0), row}, {c.dtype(0), row}};
}

struct BackwardTensors {
  TensorView x, gamma, mean, rstd, dy, dx, dgamma, dbeta;
};

template <class T>
class LayerNormBackwardKernel final : public Kernel {
 public:
  explicit LayerNormBackwardKernel(const BindContext& c) : isa_(c.isa) {}

  [[nodiscard]] std::size_t scratch_bytes(const Operands& o, int /*workers*/) const override {
    return static_cast<std::size_t>(
               kernels::norm_backward_scratch(o.inputs[0].rows(), o.inputs[0].cols())) *
           sizeof(T);
  }
  void prepare(const Operands& o) override {
    o_ = {o.inputs[0], o.inputs[1],  o.inputs[2],  o.inputs[3],
          o.inputs[4], o.outputs[0], o.outputs[1], o.outputs[2]};
    scratch_ = static_cast<T*>(o.scratch);
  }
  void run(kernels::Workers& workers) override {
    kernels::layer_norm_backward(isa_, workers, o_.x.rows(), o_.x.cols(), o_.x.as<const T>(),
                                 o_.gamma.as<const T>(), o_.mean.as<const T>(),
                                 o_.rstd.as<const T>(), o_.dy.as<const T>(), o_.dx.as<T>(),
                                 o_.dgamma.as<T>(), o_.dbeta.as<T>(), scratch_);
  }

 private:
  kernels::Isa isa_;
  BackwardTensors o_;
  T* scratch_ = nullptr;
};

void gradient(GradientContext& c) {
  const NodeId backward = c.graph.add(
      layer_norm_backward_op, {c.input(0), c.input(1), c.output(1), c.output(2), c.arrived(0)});
  const std::vector<ValueId> given = c.graph.node(backward).outputs;
  for (const std::size_t i : {0U, 1U, 2U}) {
    if (c.wanted(i)) c.give(i, given[i]);
  }
}

}  // namespace

const OpDef layer_norm_op{.name = "layer_norm",
                          .infer = infer,
                          .bind = make_kernel<LayerNormKernel>,
                          .gradient = gradient,
                          .in_place = 0b1,
                          .optional = 0b110};
const OpDef layer_norm_backward_op{.name = "layer_norm_backward",
                                   .infer = infer_backward,
                                   .bind = make_kernel<LayerNormBackwardKernel>,
                                   .optional = 0b111};

ValueId layer_norm(Graph& graph, ValueId x, ValueId gamma, ValueId beta, double eps) {
  return graph.apply(layer_norm_op, {x, gamma, beta}, eps);
}

}  // namespace attn::runtime
