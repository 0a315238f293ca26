#include "attn/error.hpp"
#include "kernels/elementwise/elementwise.hpp"
#include "runtime/op.hpp"
#include "runtime/ops.hpp"
#include "runtime/ops/defs.hpp"

namespace attn::runtime {
namespace {

// inputs: a state, gradient; output: the state, in its memory
std::vector<ValueType> infer(const InferContext& c) {
  c.require_number(0);
  c.require_number(1);
  c.require(c.shape(0) == c.shape(1), "state and gradient have different shapes");
  return {{c.dtype(0), c.shape(0)}};
}

template <class T>
class AccumulateKernel final : public Kernel {
 public:
  explicit AccumulateKernel(const BindContext& c) : isa_(c.isa) {}

  void prepare(const Operands& o) override {
    n_ = o.inputs[0].elements();
    state_ = o.inputs[0].as<T>();
    gradient_ = o.inputs[1].as<const T>();
  }
  void run(kernels::Workers& workers) override {
    kernels::accumulate(isa_, workers, n_, T{1}, gradient_, state_);
  }

 private:
  kernels::Isa isa_;
  kernels::index_t n_ = 0;
  T* state_ = nullptr;
  const T* gradient_ = nullptr;
};

}  // namespace

const OpDef accumulate_op{.name = "accumulate",
                          .infer = infer,
                          .bind = make_kernel<AccumulateKernel>,
                          .writes = 0b1,
                          .aliases = true};

ValueId accumulate(Graph& graph, ValueId state, ValueId gradient) {
  if (graph.value(state).role != Role::state) {
    throw Error(ErrorKind::invalid, "accumulate: adds to states only");
  }
  return graph.apply(accumulate_op, {state, gradient});
}

}  // namespace attn::runtime
