#include "kernels/elementwise/dropout.hpp"

#include "runtime/op.hpp"
#include "runtime/ops.hpp"
#include "runtime/ops/defs.hpp"

namespace attn::runtime {
namespace {

// inputs: x, counter
std::vector<ValueType> infer(const InferContext& c) {
  const double rate = c.attributes<DropoutAttributes>().rate;
  c.require_number(0);
  c.require(rate >= 0 && rate < 1, "a rate of " + std::to_string(rate) + " is not in [0, 1)");
  c.require(c.dtype(1) == DType::i32 && c.shape(1) == Shape{1}, "counter is I32 [1]");
  return {{c.dtype(0), c.shape(0)}};
}

template <class T>
class DropoutKernel final : public Kernel {
 public:
  explicit DropoutKernel(const BindContext& c)
      : isa_(c.isa), attributes_(c.attributes<DropoutAttributes>()) {}

  void prepare(const Operands& o) override {
    n_ = o.inputs[0].elements();
    x_ = o.inputs[0].as<const T>();
    counter_ = o.inputs[1].as<const std::int32_t>();
    y_ = o.outputs[0].as<T>();
  }
  void run(kernels::Workers& workers) override {
    kernels::dropout(isa_, workers, attributes_.rate, attributes_.seed, *counter_, n_, x_, y_);
  }

 private:
  kernels::Isa isa_;
  DropoutAttributes attributes_;
  kernels::index_t n_ = 0;
  const T* x_ = nullptr;
  const std::int32_t* counter_ = nullptr;
  T* y_ = nullptr;
};

// what was dropped has no part in the loss, and the rest was scaled
void gradient(GradientContext& c) {
  if (!c.wanted(0)) return;
  c.give(0, dropout(c.graph, c.arrived(0), c.input(1), c.attributes<DropoutAttributes>()));
}

}  // namespace

const OpDef dropout_op{.name = "dropout",
                       .infer = infer,
                       .bind = make_kernel<DropoutKernel>,
                       .gradient = gradient,
                       .in_place = 0b1};

ValueId dropout(Graph& graph, ValueId x, ValueId counter, DropoutAttributes attributes) {
  return graph.apply(dropout_op, {x, counter}, attributes);
}

}  // namespace attn::runtime
