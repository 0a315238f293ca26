#include "kernels/softmax/softmax.hpp"

#include "runtime/op.hpp"
#include "runtime/ops.hpp"
#include "runtime/ops/defs.hpp"

#include <algorithm>

namespace attn::runtime {
namespace {

std::vector<ValueType> infer(const InferContext& c) {
  c.require_number(0);
  const Shape& x = c.shape(0);
  c.require(x.rank() >= 1, "x needs a dimension");
  if (c.has(1)) {
    c.require_number(1);
    const Shape& mask = c.shape(1);
    c.require(mask == Shape{x[-1]} || (x.rank() > 1 && mask == Shape{x[-2], x[-1]}),
              "the mask is [rows, cols] or [cols]");
  }
  c.require(!c.attributes<SoftmaxAttributes>().causal || x.rank() > 1,
            "a causal softmax needs rows and columns");
  return {{c.dtype(0), x}};
}

std::vector<ValueType> infer_backward(const InferContext& c) {
  c.require_number(0);
  c.require(c.shape(0) == c.shape(1), "the gradient has another shape");
  return {{c.dtype(0), c.shape(0)}};
}

template <class T>
class SoftmaxKernel final : public Kernel {
 public:
  explicit SoftmaxKernel(const BindContext& c) : isa_(c.isa) {
    const auto& attributes = c.attributes<SoftmaxAttributes>();
    args_.scale = static_cast<T>(attributes.scale);
    args_.causal = attributes.causal;
  }

  void prepare(const Operands& o) override {
    const TensorView& x = o.inputs[0];
    args_.rows = x.rows();
    args_.cols = args_.stride_x = args_.stride_y = x.cols();
    args_.x = x.as<const T>();
    args_.y = o.outputs[0].as<T>();
    if (args_.causal) {
      args_.causal_rows = std::max<std::int64_t>(1, x.dim(-2));
      args_.causal_offset = x.cols() - x.dim(-2);
    }
    if (o.inputs.size() > 1 && o.inputs[1].present()) {
      args_.mask = o.inputs[1].as<const T>();
      args_.mask_rows = o.inputs[1].rows();
    }
  }
  void run(kernels::Workers& workers) override { kernels::softmax(isa_, workers, args_); }

 private:
  kernels::Isa isa_;
  kernels::SoftmaxArgs<T> args_;
};

// inputs: y, dy
template <class T>
class SoftmaxBackwardKernel final : public Kernel {
 public:
  explicit SoftmaxBackwardKernel(const BindContext& c)
      : isa_(c.isa), scale_(static_cast<T>(c.attributes<double>())) {}

  void prepare(const Operands& o) override {
    rows_ = o.inputs[0].rows();
    cols_ = o.inputs[0].cols();
    y_ = o.inputs[0].as<const T>();
    dy_ = o.inputs[1].as<const T>();
    dx_ = o.outputs[0].as<T>();
  }
  void run(kernels::Workers& workers) override {
    kernels::softmax_backward(isa_, workers, rows_, cols_, scale_, y_, dy_, dx_);
  }

 private:
  kernels::Isa isa_;
  T scale_;
  kernels::index_t rows_ = 0, cols_ = 0;
  const T *y_ = nullptr, *dy_ = nullptr;
  T* dx_ = nullptr;
};

// the mask is data, so nothing flows into it
void gradient(GradientContext& c) {
  if (!c.wanted(0)) return;
  c.give(0, c.graph.apply(softmax_backward_op, {c.output(0), c.arrived(0)},
                          c.attributes<SoftmaxAttributes>().scale));
}

}  // namespace

const OpDef softmax_op{.name = "softmax",
                       .infer = infer,
                       .bind = make_kernel<SoftmaxKernel>,
                       .gradient = gradient,
                       .in_place = 0b1};
const OpDef softmax_backward_op{.name = "softmax_backward",
                                .infer = infer_backward,
                                .bind = make_kernel<SoftmaxBackwardKernel>,
                                .in_place = 0b10};

ValueId softmax(Graph& graph, ValueId x, SoftmaxAttributes attributes, ValueId mask) {
  return graph.apply(softmax_op, {x, mask}, attributes);
}

}  // namespace attn::runtime
