#include "kernels/optim/adam.hpp"

#include "attn/error.hpp"
#include "runtime/op.hpp"
#include "runtime/ops.hpp"
#include "runtime/ops/defs.hpp"

namespace attn::runtime {
namespace {

// inputs: parameter, m, v, gradient, step, rate, scale; output: the parameter, updated in place
std::vector<ValueType> infer(const InferContext& c) {
  c.require_number(0);
  for (const std::size_t i : {1U, 2U, 3U}) {
    c.require(c.shape(i) == c.shape(0) && c.dtype(i) == c.dtype(0),
              "moments and gradient have the parameter's shape and type");
  }
  c.require(c.dtype(4) == DType::i32 && c.shape(4) == Shape{1}, "step is I32 [1]");
  c.require(c.dtype(5) == DType::f64 && c.shape(5) == Shape{1}, "rate is F64 [1]");
  c.require(!c.has(6) || (c.dtype(6) == DType::f64 && c.shape(6) == Shape{1}), "scale is F64 [1]");
  return {{c.dtype(0), c.shape(0)}};
}

template <class T>
class AdamKernel final : public Kernel {
 public:
  explicit AdamKernel(const BindContext& c) : isa_(c.isa) {
    const auto& a = c.attributes<AdamAttributes>();
    args_.beta1 = a.beta1;
    args_.beta2 = a.beta2;
    args_.eps = a.eps;
    args_.weight_decay = a.weight_decay;
  }

  void prepare(const Operands& o) override {
    args_.n = o.inputs[0].elements();
    args_.param = o.inputs[0].as<T>();
    args_.m = o.inputs[1].as<T>();
    args_.v = o.inputs[2].as<T>();
    args_.grad = o.inputs[3].as<const T>();
    step_ = o.inputs[4].as<const std::int32_t>();
    rate_ = o.inputs[5].as<const double>();
    scale_ = o.inputs[6].as<const double>();
  }
  void run(kernels::Workers& workers) override {
    args_.step = *step_;
    args_.lr = *rate_;
    if (scale_ != nullptr) args_.gradient_scale = *scale_;
    kernels::adam(isa_, workers, args_);
  }

 private:
  kernels::Isa isa_;
  kernels::AdamArgs<T> args_;
  const std::int32_t* step_ = nullptr;
  const double *rate_ = nullptr, *scale_ = nullptr;
};

}  // namespace

const OpDef adam_op{.name = "adam",
                    .infer = infer,
                    .bind = make_kernel<AdamKernel>,
                    .writes = 0b111,
                    .aliases = true};

ValueId adam(Graph& graph, ValueId parameter, ValueId gradient, ValueId step, ValueId rate,
             AdamAttributes attributes, ValueId scale) {
  const Value p = graph.value(parameter);
  if (p.role != Role::weight) throw Error(ErrorKind::invalid, "adam: updates weights only");
  const ValueId m = graph.state(p.name + ".adam_m", p.dtype, p.shape);
  const ValueId v = graph.state(p.name + ".adam_v", p.dtype, p.shape);
  return graph.apply(adam_op, {parameter, m, v, gradient, step, rate, scale}, attributes);
}

}  // namespace attn::runtime
