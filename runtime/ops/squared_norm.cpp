#include "kernels/reduce/squared_norm.hpp"

#include "runtime/op.hpp"
#include "runtime/ops.hpp"
#include "runtime/ops/defs.hpp"

namespace attn::runtime {
namespace {

std::vector<ValueType> infer(const InferContext& c) {
  c.require_number(0);
  return {{DType::f64, Shape{}}};
}

template <class T>
class SquaredNormKernel final : public Kernel {
 public:
  explicit SquaredNormKernel(const BindContext& c) : isa_(c.isa) {}

  void prepare(const Operands& o) override {
    n_ = o.inputs[0].elements();
    x_ = o.inputs[0].as<const T>();
    y_ = o.outputs[0].as<double>();
  }
  void run(kernels::Workers& workers) override {
    *y_ = kernels::squared_norm(isa_, workers, n_, x_);
  }

 private:
  kernels::Isa isa_;
  kernels::index_t n_ = 0;
  const T* x_ = nullptr;
  double* y_ = nullptr;
};

}  // namespace

const OpDef squared_norm_op{
    .name = "squared_norm", .infer = infer, .bind = make_kernel<SquaredNormKernel>};

ValueId squared_norm(Graph& graph, ValueId x) { return graph.apply(squared_norm_op, {x}); }

}  // namespace attn::runtime
