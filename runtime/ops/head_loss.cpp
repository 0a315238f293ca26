#include "attn/error.hpp"
#include "kernels/elementwise/elementwise.hpp"
#include "kernels/matmul/matmul.hpp"
#include "kernels/softmax/cross_entropy.hpp"
#include "runtime/op.hpp"
#include "runtime/ops.hpp"
#include "runtime/ops/defs.hpp"
#include "runtime/ops/tiled_weight.hpp"
#include "runtime/stored.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <type_traits>

namespace attn::runtime {
namespace {

using kernels::index_t;

// Logits of a chunk of rows, which three products and the softmax read: beyond the caches anyway,
// and little beside the weights that bring such a chunk about.
constexpr index_t chunk_bytes = index_t{16} << 20;
// But rows enough for reading W, and its gradient, anew for every chunk, and packing it where it is
// f32, to be a small part of what the products of those rows are.
constexpr index_t fewest_rows = 64;

// inputs: x, weight, targets, scale; outputs: the loss, dx, dweight. The last two are computed only
// where something uses them.
std::vector<ValueType> infer(const InferContext& c) {
  c.require_number(0);
  const Shape &x = c.shape(0), &w = c.shape(1);
  c.require(x.rank() == 2 && w.rank() == 2 && x[1] == w[1] && !w[1].symbolic(),
            "x is [tokens, d] and the weight [vocab, d]");
  if (storage_only(c.dtype(1))) {
    c.require(c.dtype(0) == DType::f32 && c.value(1).role == Role::weight &&
                  w[1].extent % dtype_block(c.dtype(1)) == 0,
              "a stored weight is of whole blocks, beside an F32 x");
  } else {
    c.require_number(1);
  }
  c.require(c.dtype(2) == DType::i32 && c.shape(2) == Shape{x[0]}, "targets are I32 [tokens]");
  c.require(c.dtype(3) == DType::f64 && c.shape(3) == Shape{1}, "scale is F64 [1]");
  return {{c.dtype(0), Shape{}}, {c.dtype(0), x}, {c.dtype(0), w}};
}

struct Sizes {
  index_t tokens = 0, d = 0, vocab = 0;
};

// What one run computes, and where everything stands in its scratch, in bytes.
struct Plan {
  Sizes sizes;
  index_t chunk = 1;                                            // rows at a time
  bool dx = false, dw = false;                                  // are they wanted?
  std::size_t logits = 0, some_x = 0, some_dx = 0, losses = 0;  // of a chunk
  std::size_t positions = 0, ids = 0;                           // of all rows that have a target
  std::size_t products = 0;                                     // to the end
};

template <class T>
class HeadLossKernel final : public Kernel {
 public:
  explicit HeadLossKernel(const BindContext& c)
      : isa_(c.isa),
        alpha_(static_cast<T>(c.attributes<HeadLossAttributes>().alpha)),
        bf16_(c.bf16_grade && std::is_same_v<T, float>),
        stored_(storage_only(c.dtype(1))),
        tiled_(c.constant[1] && std::is_same_v<T, float> &&
               multiplied_in_tiles(c.isa, c.precision, c.dtype(1))),
        whole_(c.graph.value(c.node.inputs[1]).shape[0].symbolic()),
        layout_(c.layout(1)),
        packs_(c.packs) {}

  [[nodiscard]] std::size_t scratch_bytes(const Operands& largest, int workers) const override {
    const Plan plan = plan_of(largest);
    return plan.products + products_bytes(plan, workers);
  }

  void prepare(const Operands& o) override {
    plan_ = plan_of(o);
    x_ = o.inputs[0].as<const T>();
    w_ = o.inputs[1].data;
    type_ = weight_type(o.inputs[1].dtype).value_or(kernels::WeightType::f32);
    targets_ = o.inputs[2].as<const std::int32_t>();
    scale_ = o.inputs[3].as<const double>();
    loss_ = o.outputs[0].as<T>();
    dx_ = o.outputs[1].as<T>();
    dw_ = o.outputs[2].as<T>();
    if constexpr (std::is_same_v<T, float>) {
      if (tiled_) tiles_.prepare(*packs_, o.inputs[1], layout_);
      if (reads_rows()) rows_.prepare(*packs_, o.inputs[1], layout_);
    }
    auto* const scratch = static_cast<std::byte*>(o.scratch);
    logits_ = reinterpret_cast<T*>(scratch + plan_.logits);
    some_x_ = reinterpret_cast<T*>(scratch + plan_.some_x);
    some_dx_ = reinterpret_cast<T*>(scratch + plan_.some_dx);
    losses_ = reinterpret_cast<double*>(scratch + plan_.losses);
    positions_ = reinterpret_cast<std::int32_t*>(scratch + plan_.positions);
    ids_ = reinterpret_cast<std::int32_t*>(scratch + plan_.ids);
    products_ = scratch + plan_.products;
  }

  void run(kernels::Workers& workers) override {
    const auto [tokens, d, vocab] = plan_.sizes;
    const index_t count = find_targets();
    if (tiled_) tiles_.ensure(workers);
    if (reads_rows()) rows_.ensure(workers);
    if (dx_ != nullptr && count < tokens) kernels::fill_zeros(workers, tokens * d, dx_);
    if (dw_ != nullptr && count == 0) kernels::fill_zeros(workers, vocab * d, dw_);
    double sum = 0;
    for (index_t at = 0; at < count; at += plan_.chunk) {
      const index_t rows = std::min(plan_.chunk, count - at);
      take_chunk(workers, at, rows);
      for (index_t r = 0; r < rows; ++r) sum += losses_[r];
    }
    *loss_ = static_cast<T>(*scale_ * sum);
  }

 private:
  // The plan of what is enough for these operands is enough for all smaller ones.
  [[nodiscard]] Plan plan_of(const Operands& o) const {
    Plan plan;
    plan.sizes = {o.inputs[0].dim(0), o.inputs[0].dim(1), o.inputs[1].dim(0)};
    const auto [tokens, d, vocab] = plan.sizes;
    plan.dx = o.outputs[1].data != nullptr;
    plan.dw = o.outputs[2].data != nullptr;
    const index_t row = std::max<index_t>(1, vocab) * static_cast<index_t>(sizeof(T));
    plan.chunk = std::max<index_t>(1, tokens);
    if (!whole_) plan.chunk = std::min(plan.chunk, std::max(fewest_rows, chunk_bytes / row));
    std::size_t end = 0;
    const auto take = [&](index_t count, std::size_t size) {
      const std::size_t at = end;
      end += (static_cast<std::size_t>(count) * size + 63) / 64 * 64;
      return at;
    };
    plan.logits = take(plan.chunk * vocab, sizeof(T));
    plan.some_x = take(plan.chunk * d, sizeof(T));
    plan.some_dx = take(plan.dx ? plan.chunk * d : 0, sizeof(T));
    plan.losses = take(plan.chunk, sizeof(double));
    plan.positions = take(tokens, sizeof(std::int32_t));
    plan.ids = take(tokens, sizeof(std::int32_t));
    plan.products = end;
    return plan;
  }

  // Are a stored weight's rows multiplied: on the way forward, or on the way back?
  [[nodiscard]] bool reads_rows() const { return stored_ && (!tiled_ || dx_ != nullptr); }

  // What the largest of the products needs, whichever row of the table takes it: fewer rows than a
  // whole chunk may take another.
  [[nodiscard]] std::size_t products_bytes(const Plan& plan, int workers) const {
    const index_t d = plan.sizes.d, vocab = plan.sizes.vocab;
    std::size_t bytes = 0;
    if constexpr (std::is_same_v<T, float>) {
      const kernels::MatmulProblem forward{.m = plan.chunk,
                                           .n = vocab,
                                           .k = d,
                                           .b_transposed = true,
                                           .stored = stored_ || tiled_,
                                           .tiled = tiled_,
                                           .bf16 = bf16_};
      const kernels::MatmulProblem back{.m = plan.chunk,
                                        .n = d,
                                        .k = vocab,
                                        .stored = stored_,
                                        .stored_rows_of_b = stored_,
                                        .bf16 = bf16_};
      const kernels::MatmulProblem weight{
          .m = vocab, .n = d, .k = plan.chunk, .a_transposed = true, .bf16 = bf16_};
      for (const kernels::MatmulImpl& impl : kernels::matmul_table()) {
        bytes = std::max(bytes, impl.scratch_bytes(forward, isa_, workers));
        if (plan.dx) bytes = std::max(bytes, impl.scratch_bytes(back, isa_, workers));
        if (plan.dw) bytes = std::max(bytes, impl.scratch_bytes(weight, isa_, workers));
      }
    }
    return bytes;
  }

  // The rows that have a target, and their targets; how many they are.
  index_t find_targets() const {
    const index_t vocab = plan_.sizes.vocab;
    index_t count = 0;
    for (index_t i = 0; i < plan_.sizes.tokens; ++i) {
      const std::int32_t target = targets_[i];
      if (target == -1) continue;
      if (target < 0 || target >= vocab) {
        throw Error(ErrorKind::invalid, "head_loss: target " + std::to_string(target) +
                                            " at position " + std::to_string(i) + " is not in 0.." +
                                            std::to_string(vocab - 1));
      }
      positions_[count] = static_cast<std::int32_t>(i);
      ids_[count++] = target;
    }
    return count;
  }

  [[nodiscard]] kernels::MatmulArgs<T> product(index_t m, index_t n, index_t k, T* c) const {
    kernels::MatmulArgs<T> args;
    args.m = m;
    args.n = n;
    args.k = k;
    args.c = c;
    args.stride_c = n;
    args.alpha = alpha_;
    args.bf16 = bf16_;
    args.scratch = products_;
    return args;
  }

  // The rows with targets from number `at` on.
  void take_chunk(kernels::Workers& workers, index_t at, index_t rows) {
    const index_t d = plan_.sizes.d, vocab = plan_.sizes.vocab;
    const std::int32_t* const positions = positions_ + at;
    // rows side by side are read, and their gradients written, where they stand
    const bool together = positions[rows - 1] - positions[0] + 1 == rows;
    const T* x = x_ + positions[0] * d;
    T* dx = dx_ == nullptr ? nullptr : dx_ + positions[0] * d;
    if (!together) {
      for (index_t r = 0; r < rows; ++r) std::copy_n(x_ + positions[r] * d, d, some_x_ + r * d);
      x = some_x_;
      dx = some_dx_;
    }
    kernels::MatmulArgs<T> forward = product(rows, vocab, d, logits_);
    forward.a = {x, d, 1};
    if (tiled_) {
      forward.stored = tiles_.stored();
    } else if (stored_) {
      forward.stored = {rows_.data(), type_, nullptr};
    } else {
      forward.b = {static_cast<const T*>(w_), 1, d};
    }
    kernels::matmul(isa_, workers, forward);

    const bool back = dx_ != nullptr || dw_ != nullptr;
    kernels::cross_entropy(isa_, workers, rows, vocab, ids_ + at, static_cast<T>(*scale_), back,
                           logits_, losses_);
    if (dx_ != nullptr) {
      kernels::MatmulArgs<T> args = product(rows, d, vocab, dx);
      args.a = {logits_, vocab, 1};
      if (stored_) {
        args.stored = {rows_.data(), type_, nullptr, true};
      } else {
        args.b = {static_cast<const T*>(w_), d, 1};
      }
      kernels::matmul(isa_, workers, args);
      for (index_t r = 0; r < rows && !together; ++r) {
        std::copy_n(dx + r * d, d, dx_ + positions[r] * d);
      }
    }
    if (dw_ != nullptr) {
      kernels::MatmulArgs<T> args = product(vocab, d, rows, dw_);
      args.a = {logits_, 1, vocab};
      args.b = {x, d, 1};
      args.accumulate = at > 0;
      kernels::matmul(isa_, workers, args);
    }
  }

  kernels::Isa isa_;
  T alpha_;
  bool bf16_, stored_;
  bool tiled_;           // are tiles multiplied?
  bool whole_;           // are all rows one chunk?
  WeightLayout layout_;  // how W stands
  std::shared_ptr<Packs> packs_;
  TiledWeight tiles_;
  RowsOfWeight rows_;  // of a stored W
  kernels::WeightType type_ = kernels::WeightType::f32;
  Plan plan_;
  const T* x_ = nullptr;
  const void* w_ = nullptr;
  const std::int32_t* targets_ = nullptr;
  const double* scale_ = nullptr;
  T *loss_ = nullptr, *dx_ = nullptr, *dw_ = nullptr;
  // where the plan puts them
  T *logits_ = nullptr, *some_x_ = nullptr, *some_dx_ = nullptr;
  double* losses_ = nullptr;
  std::int32_t *positions_ = nullptr, *ids_ = nullptr;
  void* products_ = nullptr;
};

bool is_one(const Value& value) {
  return value.role == Role::constant && value.constant == std::vector<double>{1};
}

// The gradients for a loss of this one alone are there already.
void gradient(GradientContext& c) {
  Graph& graph = c.graph;
  const ValueId g = c.arrived(0);
  if (g == ValueId::none) {
    throw Error(ErrorKind::invalid, "head_loss: no gradient through its gradients");
  }
  if (c.wanted(1) && storage_only(graph.value(c.input(1)).dtype)) {
    throw Error(ErrorKind::invalid, "head_loss: no gradient flows into a stored weight");
  }
  const bool one = is_one(graph.value(g));
  for (const std::size_t i : {0U, 1U}) {
    if (!c.wanted(i)) continue;
    const ValueId own = c.output(i + 1);
    c.give(i, one ? own : graph.apply(scaled_by_op, {own, g}));
  }
}

}  // namespace

const OpDef head_loss_op{.name = "head_loss",
                         .infer = infer,
                         .bind = make_kernel<HeadLossKernel>,
                         .gradient = gradient,
                         .optional = 0b110};

ValueId head_loss(Graph& graph, ValueId x, ValueId weight, ValueId targets, ValueId scale,
                  HeadLossAttributes attributes) {
  return graph.apply(head_loss_op, {x, weight, targets, scale}, attributes);
}

}  // namespace attn::runtime
