#include "kernels/elementwise/elementwise.hpp"
#include "runtime/op.hpp"
#include "runtime/ops.hpp"
#include "runtime/ops/defs.hpp"

namespace attn::runtime {
namespace {

struct AffineAttributes {
  double scale, shift;
};

std::vector<ValueType> infer(const InferContext& c) {
  c.require_number(0);
  return {{c.dtype(0), c.shape(0)}};
}

template <class T>
class AffineKernel final : public Kernel {
 public:
  explicit AffineKernel(const BindContext& c)
      : isa_(c.isa),
        scale_(static_cast<T>(c.attributes<AffineAttributes>().scale)),
        shift_(static_cast<T>(c.attributes<AffineAttributes>().shift)) {}

  void prepare(const Operands& o) override {
    n_ = o.inputs[0].elements();
    x_ = o.inputs[0].as<const T>();
    y_ = o.outputs[0].as<T>();
  }
  void run(kernels::Workers& workers) override {
    kernels::affine(isa_, workers, n_, scale_, shift_, x_, y_);
  }

 private:
  kernels::Isa isa_;
  T scale_, shift_;
  kernels::index_t n_ = 0;
  const T* x_ = nullptr;
  T* y_ = nullptr;
};

void gradient(GradientContext& c) {
  const double scale = c.attributes<AffineAttributes>().scale;
  c.give(0, scale == 1 ? c.arrived(0) : affine(c.graph, c.arrived(0), scale, 0));
}

}  // namespace

const OpDef affine_op{.name = "affine",
                      .infer = infer,
                      .bind = make_kernel<AffineKernel>,
                      .gradient = gradient,
                      .in_place = 0b1};

ValueId affine(Graph& graph, ValueId x, double scale, double shift) {
  return graph.apply(affine_op, {x}, AffineAttributes{scale, shift});
}

}  // namespace attn::runtime
