// Rotary position embedding: one node makes the table of angles for a run's positions, which all
// layers use.

#include "kernels/rope/rope.hpp"

#include "runtime/op.hpp"
#include "runtime/ops.hpp"
#include "runtime/ops/defs.hpp"

namespace attn::runtime {
namespace {

struct TableAttributes {
  std::vector<double> frequencies;
  kernels::RopeLayout layout;
  DType dtype;
};

struct RopeNode {
  RopeAttributes rope;
  bool inverse;
};

// input: positions [tokens]; output: [tokens, 2 · rotary]
std::vector<ValueType> infer_table(const InferContext& c) {
  const auto& a = c.attributes<TableAttributes>();
  c.require(c.dtype(0) == DType::i32 && c.shape(0).rank() == 1, "positions are I32 [tokens]");
  c.require(!a.frequencies.empty(), "no frequencies");
  return {{a.dtype, Shape{c.shape(0)[0], static_cast<std::int64_t>(4 * a.frequencies.size())}}};
}

template <class T>
class TableKernel final : public Kernel {
 public:
  explicit TableKernel(const BindContext& c) : attributes_(c.attributes<TableAttributes>()) {}

  void prepare(const Operands& o) override {
    positions_ = o.inputs[0].as<const std::int32_t>();
    count_ = o.inputs[0].dim(0);
    table_ = o.outputs[0].as<T>();
  }
  void run(kernels::Workers& /*workers*/) override {
    kernels::rope_table(count_, positions_, attributes_.frequencies, attributes_.layout, table_);
  }

 private:
  TableAttributes attributes_;
  const std::int32_t* positions_ = nullptr;
  kernels::index_t count_ = 0;
  T* table_ = nullptr;
};

std::unique_ptr<Kernel> bind_table(const BindContext& c) {
  if (c.attributes<TableAttributes>().dtype == DType::f64) {
    return std::make_unique<TableKernel<double>>(c);
  }
  return std::make_unique<TableKernel<float>>(c);
}

// inputs: x [tokens, heads · head_dim], table; output: like x
std::vector<ValueType> infer(const InferContext& c) {
  const auto& a = c.attributes<RopeNode>().rope;
  c.require_number(0);
  c.require_number(1);
  const Shape &x = c.shape(0), &table = c.shape(1);
  c.require(x.rank() == 2 && table.rank() == 2 && x[0] == table[0],
            "x is [tokens, width], the table [tokens, 2 · rotary]");
  c.require(a.heads >= 1 && !x[1].symbolic() && x[1].extent % a.heads == 0,
            "the width does not divide into " + std::to_string(a.heads) + " heads");
  c.require(!table[1].symbolic() && table[1].extent % 4 == 0 &&
                table[1].extent / 2 <= x[1].extent / a.heads,
            "the table turns more than a head");
  return {{c.dtype(0), x}};
}

template <class T>
class RopeKernel final : public Kernel {
 public:
  explicit RopeKernel(const BindContext& c) : isa_(c.isa) {
    const auto& a = c.attributes<RopeNode>();
    args_.heads = a.rope.heads;
    args_.layout = a.rope.layout;
    args_.inverse = a.inverse;
  }

  void prepare(const Operands& o) override {
    args_.tokens = o.inputs[0].dim(0);
    args_.head_dim = o.inputs[0].dim(1) / args_.heads;
    args_.rotary = o.inputs[1].dim(1) / 2;
    args_.x = o.inputs[0].as<const T>();
    args_.stride = o.inputs[0].stride(0);
    args_.table = o.inputs[1].as<const T>();
    args_.y = o.outputs[0].as<T>();
  }
  void run(kernels::Workers& workers) override { kernels::rope(isa_, workers, args_); }

 private:
  kernels::Isa isa_;
  kernels::RopeArgs<T> args_;
};

void gradient(GradientContext& c) {
  RopeNode node = c.attributes<RopeNode>();
  node.inverse = !node.inverse;
  c.give(0, c.graph.apply(rope_op, {c.arrived(0), c.input(1)}, node));
}

}  // namespace

const OpDef rope_table_op{.name = "rope_table", .infer = infer_table, .bind = bind_table};
const OpDef rope_op{.name = "rope",
                    .infer = infer,
                    .bind = make_kernel<RopeKernel>,
                    .gradient = gradient,
                    .in_place = 0b1,
                    .strided_rows = 0b1};

ValueId rope_table(Graph& graph, ValueId positions, std::vector<double> frequencies,
                   kernels::RopeLayout layout, DType dtype) {
  return graph.apply(rope_table_op, {positions},
                     TableAttributes{std::move(frequencies), layout, dtype});
}

ValueId rope(Graph& graph, ValueId x, ValueId table, RopeAttributes attributes) {
  return graph.apply(rope_op, {x, table}, RopeNode{attributes, false});
}

}  // namespace attn::runtime
