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
// f32, not to count for more than the products: half as many took twice the time at 151936 words.
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
        layout_(c.layout(1)),
        packs_(c.packs) {}

  [[nodiscard]] std::size_t scratch_bytes(const Operands& largest, int workers) const override {
    HeadLossKernel of_largest(*this, largest);
    of_largest.place(nullptr, workers);
    return of_largest.bytes_;
  }

  void prepare(const Operands& o) override {
    look(o);
    if constexpr (std::is_same_v<T, float>) {
      if (tiled_) tiles_.prepare(*packs_, o.inputs[1], layout_);
      if (stored_) rows_.prepare(*packs_, o.inputs[1], layout_);
    }
    place(static_cast<std::byte*>(o.scratch), 1);
  }

  void run(kernels::Workers& workers) override {
    const index_t count = find_targets();
    if (tiled_) tiles_.ensure(workers);
    if (stored_ && (!tiled_ || dx_ != nullptr)) rows_.ensure(workers);
    if (dx_ != nullptr && count < tokens_) kernels::fill_zeros(workers, tokens_ * d_, dx_);
    if (dw_ != nullptr && count == 0) kernels::fill_zeros(workers, vocab_ * d_, dw_);
    double sum = 0;
    for (index_t at = 0; at < count; at += chunk_) {
      const index_t rows = std::min(chunk_, count - at);
      take_chunk(workers, at, rows);
      for (index_t r = 0; r < rows; ++r) sum += losses_[r];
    }
    *loss_ = static_cast<T>(*scale_ * sum);
  }

 private:
  // For the sizes at other operands only.
  HeadLossKernel(const HeadLossKernel& other, const Operands& o)
      : isa_(other.isa_),
        alpha_(other.alpha_),
        bf16_(other.bf16_),
        stored_(other.stored_),
        tiled_(other.tiled_),
        layout_(other.layout_) {
    look(o);
  }

  void look(const Operands& o) {
    const TensorView &x = o.inputs[0], &w = o.inputs[1];
    tokens_ = x.dim(0);
    d_ = x.dim(1);
    vocab_ = w.dim(0);
    x_ = x.as<const T>();
    w_ = w.data;
    type_ = weight_type(w.dtype).value_or(kernels::WeightType::f32);
    targets_ = o.inputs[2].as<const std::int32_t>();
    scale_ = o.inputs[3].as<const double>();
    loss_ = o.outputs[0].as<T>();
    dx_ = o.outputs[1].as<T>();
    dw_ = o.outputs[2].as<T>();
    const index_t row = std::max<index_t>(1, vocab_) * static_cast<index_t>(sizeof(T));
    chunk_ = std::min(std::max<index_t>(1, tokens_), std::max(fewest_rows, chunk_bytes / row));
  }

  // Where everything stands in the scratch, and how much of it there is.
  void place(std::byte* scratch, int workers) {
    bytes_ = 0;
    const auto take = [&](std::size_t bytes) {
      std::byte* const at = scratch == nullptr ? nullptr : scratch + bytes_;
      bytes_ += (bytes + 63) / 64 * 64;
      return at;
    };
    const auto numbers = [](index_t count) { return static_cast<std::size_t>(count) * sizeof(T); };
    logits_ = reinterpret_cast<T*>(take(numbers(chunk_ * vocab_)));
    some_x_ = reinterpret_cast<T*>(take(numbers(chunk_ * d_)));
    some_dx_ = reinterpret_cast<T*>(take(dx_ == nullptr ? 0 : numbers(chunk_ * d_)));
    losses_ = reinterpret_cast<double*>(take(static_cast<std::size_t>(chunk_) * sizeof(double)));
    const std::size_t ids = static_cast<std::size_t>(tokens_) * sizeof(std::int32_t);
    positions_ = reinterpret_cast<std::int32_t*>(take(ids));
    ids_ = reinterpret_cast<std::int32_t*>(take(ids));
    products_ = take(products_bytes(workers));
  }

  // What the largest of the products needs, whichever row of the table takes it: fewer rows than a
  // whole chunk may take another.
  [[nodiscard]] std::size_t products_bytes(int workers) const {
    std::size_t bytes = 0;
    if constexpr (std::is_same_v<T, float>) {
      const kernels::MatmulProblem forward{.m = chunk_,
                                           .n = vocab_,
                                           .k = d_,
                                           .b_transposed = true,
                                           .stored = stored_ || tiled_,
                                           .tiled = tiled_,
                                           .bf16 = bf16_};
      const kernels::MatmulProblem back{.m = chunk_,
                                        .n = d_,
                                        .k = vocab_,
                                        .stored = stored_,
                                        .stored_rows_of_b = stored_,
                                        .bf16 = bf16_};
      const kernels::MatmulProblem weight{
          .m = vocab_, .n = d_, .k = chunk_, .a_transposed = true, .bf16 = bf16_};
      for (const kernels::MatmulImpl& impl : kernels::matmul_table()) {
        bytes = std::max(bytes, impl.scratch_bytes(forward, isa_, workers));
        if (dx_ != nullptr) bytes = std::max(bytes, impl.scratch_bytes(back, isa_, workers));
        if (dw_ != nullptr) bytes = std::max(bytes, impl.scratch_bytes(weight, isa_, workers));
      }
    }
    return bytes;
  }

  // The rows that have a target, and their targets; how many they are.
  index_t find_targets() const {
    index_t count = 0;
    for (index_t i = 0; i < tokens_; ++i) {
      const std::int32_t target = targets_[i];
      if (target == -1) continue;
      if (target < 0 || target >= vocab_) {
        throw Error(ErrorKind::invalid, "head_loss: target " + std::to_string(target) +
                                            " at position " + std::to_string(i) + " is not in 0.." +
                                            std::to_string(vocab_ - 1));
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
    const std::int32_t* const positions = positions_ + at;
    // rows side by side are read, and their gradients written, where they stand
    const bool together = positions[rows - 1] - positions[0] + 1 == rows;
    const T* x = x_ + positions[0] * d_;
    T* dx = dx_ == nullptr ? nullptr : dx_ + positions[0] * d_;
    if (!together) {
      for (index_t r = 0; r < rows; ++r) std::copy_n(x_ + positions[r] * d_, d_, some_x_ + r * d_);
      x = some_x_;
      dx = some_dx_;
    }
    kernels::MatmulArgs<T> forward = product(rows, vocab_, d_, logits_);
    forward.a = {x, d_, 1};
    if (tiled_) {
      forward.stored = tiles_.stored();
    } else if (stored_) {
      forward.stored = {rows_.data(), type_, nullptr};
    } else {
      forward.b = {static_cast<const T*>(w_), 1, d_};
    }
    kernels::matmul(isa_, workers, forward);

    const bool back = dx_ != nullptr || dw_ != nullptr;
    kernels::cross_entropy(isa_, workers, rows, vocab_, ids_ + at, static_cast<T>(*scale_), back,
                           logits_, losses_);
    if (dx_ != nullptr) {
      kernels::MatmulArgs<T> args = product(rows, d_, vocab_, dx);
      args.a = {logits_, vocab_, 1};
      if (stored_) {
        args.stored = {rows_.data(), type_, nullptr, true};
      } else {
        args.b = {static_cast<const T*>(w_), d_, 1};
      }
      kernels::matmul(isa_, workers, args);
      for (index_t r = 0; r < rows && !together; ++r) {
        std::copy_n(dx + r * d_, d_, dx_ + positions[r] * d_);
      }
    }
    if (dw_ != nullptr) {
      kernels::MatmulArgs<T> args = product(vocab_, d_, rows, dw_);
      args.a = {logits_, 1, vocab_};
      args.b = {x, d_, 1};
      args.accumulate = at > 0;
      kernels::matmul(isa_, workers, args);
    }
  }

  kernels::Isa isa_;
  T alpha_;
  bool bf16_, stored_;
  bool tiled_;           // are tiles multiplied?
  WeightLayout layout_;  // how W stands
  std::shared_ptr<Packs> packs_;
  TiledWeight tiles_;
  RowsOfWeight rows_;  // of a stored W
  kernels::WeightType type_ = kernels::WeightType::f32;
  index_t tokens_ = 0, d_ = 0, vocab_ = 0, chunk_ = 1;
  const T* x_ = nullptr;
  const void* w_ = nullptr;
  const std::int32_t* targets_ = nullptr;
  const double* scale_ = nullptr;
  T *loss_ = nullptr, *dx_ = nullptr, *dw_ = nullptr;
  // scratch: of a chunk, then of all rows that have a target
  std::size_t bytes_ = 0;
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
