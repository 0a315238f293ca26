#include "kernels/elementwise/elementwise.hpp"
#include "runtime/op.hpp"
#include "runtime/ops.hpp"
#include "runtime/ops/defs.hpp"

namespace attn::runtime {
namespace {

std::vector<ValueType> infer(const InferContext& c) {
  c.require_number(0);
  c.require_number(1);
  c.require(c.shape(0) == c.shape(1), "gate and up have different shapes");
  return {{c.dtype(0), c.shape(0)}};
}

template <class T>
class GatedSiluKernel final : public Kernel {
 public:
  explicit GatedSiluKernel(const BindContext& c) : isa_(c.isa) {}

  void prepare(const Operands& o) override {
    n_ = o.inputs[0].elements();
    gate_ = o.inputs[0].as<const T>();
    up_ = o.inputs[1].as<const T>();
    y_ = o.outputs[0].as<T>();
  }
  void run(kernels::Workers& workers) override {
    kernels::gated_silu(isa_, workers, n_, gate_, up_, y_);
  }

 private:
  kernels::Isa isa_;
  kernels::index_t n_ = 0;
  const T *gate_ = nullptr, *up_ = nullptr;
  T* y_ = nullptr;
};

// inputs: gate, up, dy; outputs: dgate, dup
std::vector<ValueType> infer_backward(const InferContext& c) {
  c.require_number(0);
  return {{c.dtype(0), c.shape(0)}, {c.dtype(0), c.shape(0)}};
}

template <class T>
class GatedSiluBackwardKernel final : public Kernel {
 public:
  explicit GatedSiluBackwardKernel(const BindContext& c) : isa_(c.isa) {}

  void prepare(const Operands& o) override {
    n_ = o.inputs[0].elements();
    gate_ = o.inputs[0].as<const T>();
    up_ = o.inputs[1].as<const T>();
    dy_ = o.inputs[2].as<const T>();
    dgate_ = o.outputs[0].as<T>();
    dup_ = o.outputs[1].as<T>();
  }
  void run(kernels::Workers& workers) override {
    kernels::gated_silu_backward(isa_, workers, n_, gate_, up_, dy_, dgate_, dup_);
  }

 private:
  kernels::Isa isa_;
  kernels::index_t n_ = 0;
  const T *gate_ = nullptr, *up_ = nullptr, *dy_ = nullptr;
  T *dgate_ = nullptr, *dup_ = nullptr;
};

// y = silu(g) u: dg = dy u silu'(g), du = dy silu(g), both in one pass over the memory
void gradient(GradientContext& c) {
  const NodeId backward =
      c.graph.add(gated_silu_backward_op, {c.input(0), c.input(1), c.arrived(0)});
  const std::vector<ValueId> given = c.graph.node(backward).outputs;
  for (const std::size_t i : {0U, 1U}) {
    if (c.wanted(i)) c.give(i, given[i]);
  }
}

}  // namespace

const OpDef gated_silu_op{.name = "gated_silu",
                          .infer = infer,
                          .bind = make_kernel<GatedSiluKernel>,
                          .gradient = gradient,
                          .in_place = 0b11};
const OpDef gated_silu_backward_op{.name = "gated_silu_backward",
                                   .infer = infer_backward,
                                   .bind = make_kernel<GatedSiluBackwardKernel>,
                                   .in_place = 0b111};

ValueId gated_silu(Graph& graph, ValueId gate, ValueId up) {
  return graph.apply(gated_silu_op, {gate, up});
}

}  // namespace attn::runtime
