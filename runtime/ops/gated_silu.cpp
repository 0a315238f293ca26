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

// y = silu(g) u: dg = dy u silu'(g), du = dy silu(g)
void gradient(GradientContext& c) {
  Graph& graph = c.graph;
  const ValueId dy = c.arrived(0), gate = c.input(0), up = c.input(1);
  if (c.wanted(0)) {
    const ValueId through = binary(graph, kernels::Binary::mul, dy, up);
    c.give(0, graph.apply(unary_backward_op, {gate, through}, kernels::Unary::silu));
  }
  if (c.wanted(1)) c.give(1, gated_silu(graph, gate, dy));
}

}  // namespace

const OpDef gated_silu_op{.name = "gated_silu",
                          .infer = infer,
                          .bind = make_kernel<GatedSiluKernel>,
                          .gradient = gradient,
                          .in_place = 0b11};

ValueId gated_silu(Graph& graph, ValueId gate, ValueId up) {
  return graph.apply(gated_silu_op, {gate, up});
}

}  // namespace attn::runtime
