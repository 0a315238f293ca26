#include "kernels/elementwise/elementwise.hpp"
#include "runtime/op.hpp"
#include "runtime/ops.hpp"
#include "runtime/ops/defs.hpp"

namespace attn::runtime {
namespace {

// b is one row for all of a's rows.
bool broadcasts(const Shape& a, const Shape& b) { return b.rank() == 1 && !(a == b); }

std::vector<ValueType> infer(const InferContext& c) {
  c.require_number(0);
  c.require_number(1);
  const Shape &a = c.shape(0), &b = c.shape(1);
  c.require(a == b || (a.rank() > 1 && b == Shape{a[-1]}), "b has a's shape or is one row of it");
  return {{c.dtype(0), a}};
}

template <class T>
class BinaryKernel final : public Kernel {
 public:
  explicit BinaryKernel(const BindContext& c)
      : isa_(c.isa),
        op_(c.attributes<kernels::Binary>()),
        broadcast_(broadcasts(c.graph.value(c.node.inputs[0]).shape,
                              c.graph.value(c.node.inputs[1]).shape)) {}

  void prepare(const Operands& o) override {
    // without broadcast the whole is one row
    rows_ = broadcast_ ? o.inputs[0].rows() : 1;
    cols_ = broadcast_ ? o.inputs[0].cols() : o.inputs[0].elements();
    a_ = o.inputs[0].as<const T>();
    b_ = o.inputs[1].as<const T>();
    y_ = o.outputs[0].as<T>();
  }
  void run(kernels::Workers& workers) override {
    kernels::binary(isa_, workers, op_, rows_, cols_, a_, b_, broadcast_, y_);
  }

 private:
  kernels::Isa isa_;
  kernels::Binary op_;
  bool broadcast_;
  kernels::index_t rows_ = 0, cols_ = 0;
  const T *a_ = nullptr, *b_ = nullptr;
  T* y_ = nullptr;
};

void gradient(GradientContext& c) {
  Graph& graph = c.graph;
  const ValueId g = c.arrived(0), a = c.input(0), b = c.input(1);
  const auto op = c.attributes<kernels::Binary>();
  const bool row = broadcasts(graph.value(a).shape, graph.value(b).shape);
  const auto give_b = [&](ValueId full) { c.give(1, row ? sum_columns(graph, full) : full); };
  const bool product = op == kernels::Binary::mul;
  if (c.wanted(0)) c.give(0, product ? binary(graph, kernels::Binary::mul, g, b) : g);
  if (!c.wanted(1)) return;
  if (product) {
    give_b(binary(graph, kernels::Binary::mul, g, a));
  } else {
    give_b(op == kernels::Binary::sub ? affine(graph, g, -1, 0) : g);
  }
}

}  // namespace

const OpDef binary_op{.name = "binary",
                      .infer = infer,
                      .bind = make_kernel<BinaryKernel>,
                      .gradient = gradient,
                      .in_place = 0b11};

ValueId binary(Graph& graph, kernels::Binary op, ValueId a, ValueId b) {
  return graph.apply(binary_op, {a, b}, op);
}

ValueId add(Graph& graph, ValueId a, ValueId b) {
  return binary(graph, kernels::Binary::add, a, b);
}

}  // namespace attn::runtime
