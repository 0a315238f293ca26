#include "kernels/matmul/matmul.hpp"

#include "attn/error.hpp"
#include "runtime/op.hpp"
#include "runtime/ops.hpp"
#include "runtime/ops/defs.hpp"
#include "runtime/ops/tiled_weight.hpp"
#include "runtime/stored.hpp"

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

namespace attn::runtime {
namespace {

// a [batch, m, k] with b [batch, k, n]; otherwise b is one matrix and a's outer dimensions are
// rows.
bool pairwise(int rank_a, int rank_b, const MatmulAttributes& attributes) {
  return !attributes.flatten && rank_a == 3 && rank_b == 3;
}

std::vector<ValueType> infer(const InferContext& c) {
  const auto& attributes = c.attributes<MatmulAttributes>();
  c.require_number(0);
  const Shape a = c.shape(0), b = c.shape(1);
  if (storage_only(c.dtype(1))) {
    c.require(c.dtype(0) == DType::f32 && c.value(1).role == Role::weight && b.rank() == 2 &&
                  !attributes.transpose_a && !attributes.flatten,
              "stored weights are W [n, k] of x Wᵀ, or of the way back, x W");
    c.require(b[1].extent % dtype_block(c.dtype(1)) == 0, "a row is no whole number of blocks");
  } else {
    c.require_number(1);
  }
  c.require(a.rank() >= 2 && b.rank() >= 2, "operands need two dimensions");
  Shape out;
  if (attributes.flatten) {
    c.require(attributes.transpose_a && !attributes.transpose_b && a.rank() > 2 &&
                  a.rank() == b.rank() && a.first(a.rank() - 1) == b.first(b.rank() - 1),
              "flattened operands are a transposed and b, with the same rows");
    out = Shape{a[-1], b[-1]};
  } else {
    const Dim k_a = attributes.transpose_a ? a[-2] : a[-1];
    const Dim k_b = attributes.transpose_b ? b[-1] : b[-2];
    c.require(k_a == k_b, "inner dimensions differ");
    if (pairwise(a.rank(), b.rank(), attributes)) {
      c.require(a[0] == b[0], "batches differ");
    } else {
      c.require(b.rank() == 2, "b is one matrix, or both have one batch dimension");
      c.require(!attributes.transpose_a || a.rank() == 2, "a transposed a is one matrix");
    }
    out = a.first(a.rank() - 2)
              .with(attributes.transpose_a ? a[-1] : a[-2])
              .with(attributes.transpose_b ? b[-2] : b[-1]);
  }
  if (c.has(2)) {
    c.require_number(2);
    c.require(c.shape(2) == Shape{out[-1]}, "bias is one row");
  }
  return {{c.dtype(0), out}};
}

template <class T>
kernels::MatrixView<T> matrix(const TensorView& t, bool transposed) {
  kernels::MatrixView<T> view{t.as<const T>(), t.stride(-2), t.stride(-1)};
  if (transposed) std::swap(view.row_stride, view.col_stride);
  return view;
}

template <class T>
class MatmulKernel final : public Kernel {
 public:
  explicit MatmulKernel(const BindContext& c)
      : isa_(c.isa),
        attributes_(c.attributes<MatmulAttributes>()),
        pairwise_(pairwise(c.graph.value(c.node.inputs[0]).shape.rank(),
                           c.graph.value(c.node.inputs[1]).shape.rank(), attributes_)),
        stored_(storage_only(c.dtype(1))),
        tiled_(tiled_b(c, pairwise_)),
        layout_(c.layout(1)),
        // packed for x Wᵀ alone: a second order, for dY W on the way back, would take as much
        // memory
        constant_b_(c.constant[1] && attributes_.transpose_b && !pairwise_ && !stored_ &&
                    std::is_same_v<T, float> && c.precision != Precision::bf16),
        // of products that no tiles serve: a training session's, or with weights that change
        bf16_(c.bf16_grade && (c.trains || changing_weight(c))),
        packs_(c.packs) {}

  [[nodiscard]] std::size_t scratch_bytes(const Operands& largest, int workers) const override {
    std::size_t bytes = 0;
    if constexpr (std::is_same_v<T, float>) {
      // fewer rows than the bound may take another row of the table: room for any of them
      const kernels::MatmulProblem problem = problem_of(arguments(largest));
      for (const kernels::MatmulImpl& impl : kernels::matmul_table()) {
        bytes = std::max(bytes, impl.scratch_bytes(problem, isa_, workers));
      }
    }
    return bytes;
  }

  void prepare(const Operands& operands) override {
    args_ = arguments(operands);
    if constexpr (std::is_same_v<T, float>) {
      const kernels::MatmulProblem problem = problem_of(args_);
      impl_ = &kernels::choose_matmul(problem, isa_);
      if (tiled_) {
        tiles_.prepare(*packs_, operands.inputs[1], layout_);
        args_.stored = tiles_.stored();
      } else if (stored_) {
        rows_.prepare(*packs_, operands.inputs[1], layout_);
        args_.stored.data = rows_.data();
      } else if (constant_b_) {
        const std::size_t bytes = impl_->packed_bytes(problem, isa_);
        pack_ = bytes > 0 ? &packs_->find(operands.inputs[1].data, impl_->name, bytes) : nullptr;
        args_.packed_b = pack_ != nullptr ? pack_->data() : nullptr;
      }
    }
  }

  void run(kernels::Workers& workers) override {
    if constexpr (std::is_same_v<T, float>) {
      if (tiled_) tiles_.ensure(workers);
      if (stored_ && !tiled_) rows_.ensure(workers);
      // weights stand still for the life of a session
      if (pack_ != nullptr) {
        pack_->ensure([&](std::byte* to) { impl_->pack(problem_of(args_), isa_, args_.b, to); });
      }
      impl_->run(isa_, workers, args_);
    } else {
      kernels::matmul(isa_, workers, args_);
    }
  }

  [[nodiscard]] std::string note() const override { return impl_ == nullptr ? "" : impl_->name; }

 private:
  static bool changing_weight(const BindContext& c) {
    return !c.constant[1] && c.graph.value(c.node.inputs[1]).role == Role::weight;
  }

  // Weights whose products need not be f32-grade, in the order W [n, k].
  static bool tiled_b(const BindContext& c, bool pairwise) {
    const auto& a = c.attributes<MatmulAttributes>();
    return c.constant[1] && !pairwise && a.transpose_b && !a.transpose_a && !a.flatten &&
           c.dtype(0) == DType::f32 && multiplied_in_tiles(c.isa, c.precision, c.dtype(1));
  }

  [[nodiscard]] kernels::MatmulArgs<T> arguments(const Operands& o) const {
    const TensorView &a = o.inputs[0], &b = o.inputs[1], &c = o.outputs[0];
    kernels::MatmulArgs<T> args;
    args.alpha = static_cast<T>(attributes_.alpha);
    args.activation = attributes_.activation;
    args.bias = o.inputs.size() > 2 ? o.inputs[2].as<const T>() : nullptr;
    args.c = c.as<T>();
    args.stride_c = c.cols();
    args.n = c.cols();
    args.scratch = o.scratch;
    args.bf16 = bf16_;
    if (attributes_.flatten) {
      args.m = a.cols();
      args.k = a.rows();
      args.a = {a.as<const T>(), 1, a.cols()};
      args.b = {b.as<const T>(), b.cols(), 1};
      return args;
    }
    args.a = matrix<T>(a, attributes_.transpose_a);
    if (stored_ || tiled_) {
      args.stored = {b.data, *weight_type(b.dtype), nullptr, !attributes_.transpose_b};
    } else {
      args.b = matrix<T>(b, attributes_.transpose_b);
    }
    args.k = attributes_.transpose_a ? a.dim(-2) : a.dim(-1);
    args.m = pairwise_ ? c.dim(-2) : c.rows();
    if (pairwise_) {
      args.batch = c.dim(0);
      args.batch_stride_a = a.stride(0);
      args.batch_stride_b = b.stride(0);
      args.batch_stride_c = c.stride(0);
    }
    return args;
  }

  [[nodiscard]] kernels::MatmulProblem problem_of(const kernels::MatmulArgs<T>& args) const {
    return {.m = args.m,
            .n = args.n,
            .k = args.k,
            .batch = args.batch,
            .a_transposed = args.a.col_stride != 1,
            .b_transposed = args.b.col_stride != 1,
            .b_constant = constant_b_,
            .f64 = std::is_same_v<T, double>,
            .stored = stored_ || tiled_,
            .tiled = tiled_,
            .stored_rows_of_b = stored_ && args.stored.rows_of_b,
            .bf16 = args.bf16};
  }

  kernels::Isa isa_;
  MatmulAttributes attributes_;
  bool pairwise_, stored_;
  bool tiled_;           // are tiles multiplied?
  WeightLayout layout_;  // how B stands
  // worth packing in advance? Where all may be rounded, forward products are in tiles, and the way
  // back is as fast without a copy.
  bool constant_b_;
  bool bf16_;  // may operands be rounded?
  std::shared_ptr<Packs> packs_;
  TiledWeight tiles_;
  RowsOfWeight rows_;            // of a stored B that is not multiplied in tiles
  Packs::Pack* pack_ = nullptr;  // of what runs now, if it reads packed weights
  kernels::MatmulArgs<T> args_;
  const kernels::MatmulImpl* impl_ = nullptr;
};

// C = α A B, so with G the gradient of C: dA = α G Bᵀ and dB = α Aᵀ G, each transposed where its
// operand is. What an activation was given has gone, and is computed again.
void gradient(GradientContext& c) {
  const auto& attributes = c.attributes<MatmulAttributes>();
  if (attributes.flatten) {
    throw Error(ErrorKind::invalid, "matmul: no gradient through the gradient of a projection");
  }
  Graph& graph = c.graph;
  const ValueId a = c.input(0), b = c.input(1);
  ValueId g = c.arrived(0);
  if (attributes.activation) {
    MatmulAttributes plain = attributes;
    plain.activation.reset();
    const ValueId bias = c.node.inputs.size() > 2 ? c.input(2) : ValueId::none;
    g = graph.apply(unary_backward_op, {matmul(graph, a, b, plain, bias), g},
                    *attributes.activation);
  }
  const bool ta = attributes.transpose_a, tb = attributes.transpose_b;
  const double alpha = attributes.alpha;
  if (c.wanted(0)) {
    c.give(0, ta ? matmul(graph, b, g, {.transpose_a = tb, .transpose_b = true, .alpha = alpha})
                 : matmul(graph, g, b, {.transpose_b = !tb, .alpha = alpha}));
  }
  if (c.wanted(1)) {
    const bool rows = graph.value(a).shape.rank() > 2 && graph.value(b).shape.rank() == 2;
    const ValueId left = tb ? g : a, right = tb ? a : g;
    if (rows) {
      c.give(1, matmul(graph, left, right, {.transpose_a = true, .alpha = alpha, .flatten = true}));
    } else {
      c.give(1, matmul(graph, left, right,
                       {.transpose_a = tb || !ta, .transpose_b = tb && ta, .alpha = alpha}));
    }
  }
  if (c.node.inputs.size() > 2 && c.wanted(2)) c.give(2, sum_columns(graph, g));
}

}  // namespace

const OpDef matmul_op{.name = "matmul",
                      .infer = infer,
                      .bind = make_kernel<MatmulKernel>,
                      .gradient = gradient,
                      .strided = 0b11};

ValueId matmul(Graph& graph, ValueId a, ValueId b, MatmulAttributes attributes, ValueId bias) {
  return graph.apply(matmul_op, {a, b, bias}, attributes);
}

ValueId linear(Graph& graph, ValueId x, ValueId weight, ValueId bias) {
  return matmul(graph, x, weight, {.transpose_b = true}, bias);
}

}  // namespace attn::runtime
