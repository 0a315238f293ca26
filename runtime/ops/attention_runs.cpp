// Attention of several sequences at once, each to its own slot of a cache.

#include "kernels/attention/attention.hpp"
#include "runtime/cache_runs.hpp"
#include "runtime/op.hpp"
#include "runtime/ops.hpp"
#include "runtime/ops/cache.hpp"
#include "runtime/ops/defs.hpp"

#include <cmath>

namespace attn::runtime {
namespace {

// inputs: q, k, v, runs; output: [rows, heads · value_dim]
std::vector<ValueType> infer(const InferContext& c) {
  const auto& a = c.attributes<AttentionAttributes>();
  c.require_number(0);
  const Shape &q = c.shape(0), &k = c.shape(1), &v = c.shape(2);
  c.require(q.rank() == 2 && k.rank() == 3 && v.rank() == 3 && k[0] == v[0] && k[1] == v[1],
            "q is [rows, width], k and v are [slots, capacity, width]");
  c.require(
      a.heads >= 1 && a.kv_heads >= 1 && a.heads % a.kv_heads == 0 && a.causal && a.window >= 0,
      "heads in groups, and causal");
  c.require(!q[1].symbolic() && !k[2].symbolic() && !v[2].symbolic() &&
                q[1].extent % a.heads == 0 && v[2].extent % a.kv_heads == 0 &&
                k[2].extent == q[1].extent / a.heads * a.kv_heads,
            "widths do not divide into heads");
  require_keys(c, a.kv_heads);
  c.require(c.dtype(3) == DType::i32 && c.shape(3).rank() == 2 && c.shape(3)[1] == Dim(4),
            "runs are I32 [runs, 4]");
  return {{c.dtype(0), Shape{q[0], v[2].extent / a.kv_heads * a.heads}}};
}

template <class T>
class AttentionRunsKernel final : public Kernel {
 public:
  explicit AttentionRunsKernel(const BindContext& c)
      : isa_(c.isa), attributes_(c.attributes<AttentionAttributes>()), bf16_(c.bf16_grade) {}

  [[nodiscard]] std::size_t scratch_bytes(const Operands& o, int workers) const override {
    const auto a = of(o);
    return kernels::attention_runs_scratch_bytes(isa_, workers, a.heads, a.kv_heads, a.q_len,
                                                 o.inputs[3].dim(0), a.kv_len, a.head_dim,
                                                 a.value_dim, a.stored.type);
  }
  void prepare(const Operands& o) override {
    args_ = of(o);
    args_.bf16 = bf16_;
    args_.scratch = o.scratch;
    cache_ = o.inputs[1];
    runs_ = o.inputs[3];
  }
  void run(kernels::Workers& workers) override {
    const std::span<const kernels::CacheRun> runs = cache_runs(runs_, args_.q_len, cache_);
    kernels::attention_runs(isa_, workers, args_, std::ssize(runs), runs.data());
  }

 private:
  [[nodiscard]] kernels::AttentionArgs<T> of(const Operands& o) const {
    const TensorView &q = o.inputs[0], &k = o.inputs[1], &v = o.inputs[2], &out = o.outputs[0];
    kernels::AttentionArgs<T> args;
    args.heads = attributes_.heads;
    args.kv_heads = attributes_.kv_heads;
    args.q_len = q.dim(0);
    args.kv_len = k.dim(1);
    args.head_dim = q.dim(1) / args.heads;
    args.value_dim = v.dim(2) / args.kv_heads;
    args.scale = static_cast<T>(
        attributes_.scale.value_or(1 / std::sqrt(static_cast<double>(args.head_dim))));
    args.causal = true;
    args.window = attributes_.window;
    args.q = {q.as<const T>(), 0, args.head_dim, q.stride(0)};
    args.stored = stored_kv(k, v);
    const bool stored = args.stored.type != kernels::WeightType::f32;
    args.k = {stored ? nullptr : k.as<const T>(), k.stride(0), args.head_dim, k.stride(1)};
    args.v = {stored ? nullptr : v.as<const T>(), v.stride(0), args.value_dim, v.stride(1)};
    args.out = {out.as<T>(), 0, args.value_dim, out.stride(0)};
    return args;
  }

  kernels::Isa isa_;
  AttentionAttributes attributes_;
  bool bf16_;
  kernels::AttentionArgs<T> args_;
  TensorView cache_, runs_;
};

}  // namespace

const OpDef attention_runs_op{
    .name = "attention_runs", .infer = infer, .bind = make_kernel<AttentionRunsKernel>};

ValueId attention_runs(Graph& graph, ValueId q, ValueId k, ValueId v, ValueId runs,
                       AttentionAttributes attributes) {
  return graph.apply(attention_runs_op, {q, k, v, runs}, attributes);
}

}  // namespace attn::runtime
