#include "kernels/attention/attention.hpp"

#include "attn/error.hpp"
#include "runtime/op.hpp"
#include "runtime/ops.hpp"
#include "runtime/ops/cache.hpp"
#include "runtime/ops/defs.hpp"
#include "runtime/ops/sequences.hpp"
#include "runtime/stored.hpp"

#include <algorithm>
#include <cmath>

namespace attn::runtime {
namespace {

// inputs: q, k, v, mask, sequences; outputs: output, weights, log_sum_exp. The last two are
// computed only where something uses them.
std::vector<ValueType> infer(const InferContext& c) {
  const auto& a = c.attributes<AttentionAttributes>();
  c.require_number(0);
  const Shape &q = c.shape(0), &k = c.shape(1), &v = c.shape(2);
  const int rank = q.rank();
  c.require((rank == 2 || rank == 3) && k.rank() == rank && v.rank() == rank,
            "q, k and v are [n, width] or [batch, n, width]");
  c.require(rank == 2 || (q[0] == k[0] && q[0] == v[0]), "batches differ");
  c.require(k[-2] == v[-2], "k and v have different lengths");
  c.require(a.heads >= 1 && a.kv_heads >= 1 && a.heads % a.kv_heads == 0,
            std::to_string(a.heads) + " heads are not a multiple of " + std::to_string(a.kv_heads) +
                " key/value heads");
  const bool one_head = a.heads == 1 && a.kv_heads == 1;
  if (one_head) {
    c.require(q[-1] == k[-1], "q and k have different widths");
  } else {
    c.require(!q[-1].symbolic() && !k[-1].symbolic() && !v[-1].symbolic() &&
                  q[-1].extent % a.heads == 0 && v[-1].extent % a.kv_heads == 0 &&
                  k[-1].extent == q[-1].extent / a.heads * a.kv_heads,
              "widths do not divide into " + std::to_string(a.heads) + " and " +
                  std::to_string(a.kv_heads) + " heads");
  }
  require_keys(c, a.kv_heads);
  c.require(a.window >= 0 && (a.window == 0 || (a.causal && !c.has(3))),
            "a window of " + std::to_string(a.window) + " needs causal, and no mask");
  if (c.has(3)) {
    c.require_number(3);
    c.require(c.shape(3) == Shape{q[-2], k[-2]}, "the mask is [n, m]");
  }
  if (c.has(4)) {
    c.require(c.dtype(4) == DType::i32 && c.shape(4).rank() == 1, "sequences are I32 [count + 1]");
    c.require(rank == 2 && q[0] == k[0] && !c.has(3) && a.window == 0 && c.dtype(1) == c.dtype(0),
              "sequences lie in the rows of one q, k and v, without mask or window");
  }
  const Shape outer = q.first(rank - 2);
  const Dim width = one_head ? v[-1] : Dim(v[-1].extent / a.kv_heads * a.heads);
  return {{c.dtype(0), outer.with(q[-2]).with(width)},
          {c.dtype(0), outer.with(a.heads).with(q[-2]).with(k[-2])},
          {c.dtype(0), outer.with(a.heads).with(q[-2])}};
}

// Heads lie side by side in the last dimension.
template <class T>
kernels::HeadsView<T> heads_view(const TensorView& t, std::int64_t heads) {
  // of a cache in fewer bits only the strides count
  return {storage_only(t.dtype) ? nullptr : t.as<T>(), t.rank == 3 ? t.stride(0) : 0,
          t.dim(-1) / heads, t.stride(-2)};
}

template <class T>
kernels::AttentionArgs<T> arguments(const AttentionAttributes& a, const TensorView& q,
                                    const TensorView& k, const TensorView& v,
                                    const TensorView& mask, const TensorView& out) {
  kernels::AttentionArgs<T> args;
  args.batch = q.rank == 3 ? q.dim(0) : 1;
  args.heads = a.heads;
  args.kv_heads = a.kv_heads;
  args.q_len = q.dim(-2);
  args.kv_len = k.dim(-2);
  args.head_dim = q.dim(-1) / a.heads;
  args.value_dim = v.dim(-1) / a.kv_heads;
  args.scale = static_cast<T>(a.scale.value_or(
      1 / std::sqrt(static_cast<double>(std::max<std::int64_t>(1, args.head_dim)))));
  args.causal = a.causal;
  args.window = a.window;
  args.q = heads_view<const T>(q, a.heads);
  args.k = heads_view<const T>(k, a.kv_heads);
  args.v = heads_view<const T>(v, a.kv_heads);
  args.stored = stored_kv(k, v);
  args.out = heads_view<T>(out, a.heads);
  if (mask.present()) {
    args.mask = mask.as<const T>();
    args.mask_row_stride = mask.stride(0);
  }
  return args;
}

template <class T>
class AttentionKernel final : public Kernel {
 public:
  explicit AttentionKernel(const BindContext& c)
      : isa_(c.isa),
        attributes_(c.attributes<AttentionAttributes>()),
        // the way back is f32, and recomputes what the way there has found
        bf16_(c.bf16_grade && !c.trains) {}

  [[nodiscard]] std::size_t scratch_bytes(const Operands& o, int workers) const override {
    const auto a = of(o);
    return kernels::attention_scratch_bytes(isa_, workers, a.batch, a.heads, a.kv_heads, a.q_len,
                                            a.kv_len, a.head_dim, a.value_dim, a.stored.type);
  }
  void prepare(const Operands& o) override {
    args_ = of(o);
    args_.bf16 = bf16_;
    args_.weights = o.outputs[1].as<T>();
    args_.log_sum_exp = o.outputs[2].as<T>();
    args_.scratch = o.scratch;
    sequences_ = o.inputs.size() > 4 ? o.inputs[4] : TensorView{};
    if (sequences_.present() && o.outputs[1].present()) {
      throw Error(ErrorKind::invalid, "attention: no weights are handed out of sequences");
    }
  }
  void run(kernels::Workers& workers) override {
    if (!sequences_.present()) return kernels::attention(isa_, workers, args_);
    const auto* const starts = sequences_.as<const std::int32_t>();
    const std::int64_t count = sequences_.dim(0) - 1;
    check_sequences("attention", count, starts, args_.q_len);
    kernels::attention_sequences(isa_, workers, args_, count, starts);
  }

  [[nodiscard]] std::string note() const override {
    return args_.weights == nullptr ? "fused" : "weights handed out";
  }

 private:
  [[nodiscard]] kernels::AttentionArgs<T> of(const Operands& o) const {
    return arguments<T>(attributes_, o.inputs[0], o.inputs[1], o.inputs[2], o.inputs[3],
                        o.outputs[0]);
  }

  kernels::Isa isa_;
  AttentionAttributes attributes_;
  bool bf16_;
  kernels::AttentionArgs<T> args_;
  TensorView sequences_;
};

// inputs: q, k, v, mask, sequences, output, log_sum_exp, doutput, dweights; outputs: dq, dk, dv
std::vector<ValueType> infer_backward(const InferContext& c) {
  c.require_number(0);
  return {{c.dtype(0), c.shape(0)}, {c.dtype(0), c.shape(1)}, {c.dtype(0), c.shape(2)}};
}

template <class T>
class AttentionBackwardKernel final : public Kernel {
 public:
  explicit AttentionBackwardKernel(const BindContext& c)
      : isa_(c.isa), attributes_(c.attributes<AttentionAttributes>()) {}

  [[nodiscard]] std::size_t scratch_bytes(const Operands& o, int workers) const override {
    const auto a = of(o).forward;
    return kernels::attention_backward_scratch_bytes(isa_, workers, a.batch, a.heads, a.kv_heads,
                                                     a.q_len, a.kv_len, a.head_dim, a.value_dim);
  }
  void prepare(const Operands& o) override {
    args_ = of(o);
    sequences_ = o.inputs[4];
  }
  // the forward node, whose output this needs, has checked the sequences
  void run(kernels::Workers& workers) override {
    if (!sequences_.present()) return kernels::attention_backward(isa_, workers, args_);
    kernels::attention_backward_sequences(isa_, workers, args_, sequences_.dim(0) - 1,
                                          sequences_.as<const std::int32_t>());
  }

 private:
  [[nodiscard]] kernels::AttentionBackwardArgs<T> of(const Operands& o) const {
    kernels::AttentionBackwardArgs<T> args;
    args.forward =
        arguments<T>(attributes_, o.inputs[0], o.inputs[1], o.inputs[2], o.inputs[3], o.inputs[5]);
    args.forward.log_sum_exp = o.inputs[6].as<T>();
    if (o.inputs[7].present()) args.dout = heads_view<const T>(o.inputs[7], attributes_.heads);
    args.dweights = o.inputs[8].as<const T>();
    args.dq = heads_view<T>(o.outputs[0], attributes_.heads);
    args.dk = heads_view<T>(o.outputs[1], attributes_.kv_heads);
    args.dv = heads_view<T>(o.outputs[2], attributes_.kv_heads);
    args.scratch = o.scratch;
    return args;
  }

  kernels::Isa isa_;
  AttentionAttributes attributes_;
  kernels::AttentionBackwardArgs<T> args_;
  TensorView sequences_;
};

// the mask and the sequences are data, so nothing flows into them
void gradient(GradientContext& c) {
  const bool stored = storage_only(c.graph.value(c.input(1)).dtype);
  if (c.attributes<AttentionAttributes>().window > 0 || stored) {
    throw Error(ErrorKind::invalid,
                "attention: no gradient through a sliding window or a cache in fewer bits");
  }
  const NodeId backward = c.graph.add(attention_backward_op,
                                      {c.input(0), c.input(1), c.input(2), c.input(3), c.input(4),
                                       c.output(0), c.output(2), c.arrived(0), c.arrived(1)},
                                      c.attributes<AttentionAttributes>());
  const std::vector<ValueId> given = c.graph.node(backward).outputs;
  for (const std::size_t i : {0U, 1U, 2U}) {
    if (c.wanted(i)) c.give(i, given[i]);
  }
}

}  // namespace

const OpDef attention_op{.name = "attention",
                         .infer = infer,
                         .bind = make_kernel<AttentionKernel>,
                         .gradient = gradient,
                         .strided_rows = 0b111,
                         .optional = 0b110};
const OpDef attention_backward_op{.name = "attention_backward",
                                  .infer = infer_backward,
                                  .bind = make_kernel<AttentionBackwardKernel>,
                                  .strided_rows = 0b111};

AttentionValues attention(Graph& graph, ValueId q, ValueId k, ValueId v,
                          AttentionAttributes attributes, ValueId mask, ValueId sequences) {
  const NodeId node = graph.add(attention_op, {q, k, v, mask, sequences}, attributes);
  return {graph.node(node).outputs[0], graph.node(node).outputs[1]};
}

}  // namespace attn::runtime
