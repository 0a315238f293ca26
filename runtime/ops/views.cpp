// Views move no data: transpose, slice and reshape say how to look into their input; copy makes a
// view contiguous, and pad is the gradient of slice.

#include "attn/error.hpp"
#include "runtime/op.hpp"
#include "runtime/ops.hpp"
#include "runtime/ops/defs.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace attn::runtime {
namespace {

struct TransposeAttributes {
  int a, b;
};

struct SliceAttributes {
  int dim;
  std::int64_t start;  // from the beginning, or from_end: the last `length`
  Dim length;
  bool from_end;

  // Where `count` of `extent` elements begin; Error(invalid) if there are fewer.
  [[nodiscard]] std::int64_t begin(std::int64_t extent, std::int64_t count) const {
    const std::int64_t at = from_end ? extent - count : start;
    if (at >= 0 && at + count <= extent) return at;
    throw Error(ErrorKind::invalid, "slice: the " + std::string(from_end ? "last " : "first ") +
                                        std::to_string(count) + " of " + std::to_string(extent));
  }
};

struct ReshapeAttributes {
  Shape shape;
};

std::vector<ValueType> infer_transpose(const InferContext& c) {
  const auto [a, b] = c.attributes<TransposeAttributes>();
  Shape shape = c.shape(0);
  c.require(a >= 0 && b >= 0 && a < shape.rank() && b < shape.rank(), "no such dimension");
  const Dim dim_a = shape[a];
  shape.set(a, shape[b]);
  shape.set(b, dim_a);
  return {{c.dtype(0), shape}};
}

TensorView view_transpose(const Node& node, const TensorView& base,
                          std::span<const std::int64_t> /*symbols*/) {
  const auto [a, b] = *std::any_cast<TransposeAttributes>(&node.attributes);
  TensorView view = base;
  std::swap(view.dims[static_cast<std::size_t>(a)], view.dims[static_cast<std::size_t>(b)]);
  std::swap(view.strides[static_cast<std::size_t>(a)], view.strides[static_cast<std::size_t>(b)]);
  return view;
}

void gradient_transpose(GradientContext& c) {
  const auto [a, b] = c.attributes<TransposeAttributes>();
  c.give(0, transpose(c.graph, c.arrived(0), a, b));
}

std::vector<ValueType> infer_slice(const InferContext& c) {
  const auto& slice = c.attributes<SliceAttributes>();
  Shape shape = c.shape(0);
  c.require(slice.dim >= 0 && slice.dim < shape.rank(), "no such dimension");
  const Dim length = slice.length;
  c.require(slice.from_end || slice.start == 0 || !shape[slice.dim].symbolic(),
            "the dimension is not constant");
  c.require(length.symbolic() || length.extent >= 0, "a slice of " + std::to_string(length.extent));
  if (!shape[slice.dim].symbolic() && !length.symbolic()) {
    const std::int64_t extent = shape[slice.dim].extent;
    const std::int64_t start = slice.from_end ? extent - length.extent : slice.start;
    c.require(start >= 0 && start <= extent && length.extent <= extent - start,
              "a slice of " + std::to_string(length.extent) + " from " + std::to_string(start) +
                  " does not lie in " + std::to_string(extent));
  }
  shape.set(slice.dim, slice.length);
  return {{c.dtype(0), shape}};
}

TensorView view_slice(const Node& node, const TensorView& base,
                      std::span<const std::int64_t> symbols) {
  const auto& slice = *std::any_cast<SliceAttributes>(&node.attributes);
  const std::int64_t length = extents(Shape{slice.length}, symbols)[0];
  TensorView view = base;
  view.dims[static_cast<std::size_t>(slice.dim)] = length;
  if (view.data != nullptr) {  // a place in memory, not a question about shapes
    const std::int64_t start = slice.begin(base.dim(slice.dim), length);
    view.data = static_cast<std::byte*>(view.data) +
                static_cast<std::size_t>(start * base.stride(slice.dim)) * dtype_size(base.dtype);
  }
  return view;
}

void gradient_slice(GradientContext& c) {
  c.give(0, c.graph.apply(pad_op, {c.arrived(0), c.input(0)}, c.attributes<SliceAttributes>()));
}

std::vector<ValueType> infer_reshape(const InferContext& c) {
  const Shape& shape = c.attributes<ReshapeAttributes>().shape;
  const auto split = [&](const Shape& s) {
    std::vector<Dim> symbols;
    std::int64_t product = 1;
    for (const Dim dim : s.dims()) {
      if (dim.symbolic()) {
        symbols.push_back(dim);
      } else {
        c.require(dim.extent >= 0 && !__builtin_mul_overflow(product, dim.extent, &product),
                  "no such shape");
      }
    }
    return std::pair(symbols, product);
  };
  c.require(split(c.shape(0)) == split(shape), "another number of elements");
  return {{c.dtype(0), shape}};
}

TensorView view_reshape(const Node& node, const TensorView& base,
                        std::span<const std::int64_t> symbols) {
  const Shape& shape = std::any_cast<ReshapeAttributes>(&node.attributes)->shape;
  const auto dims = extents(shape, symbols);
  return TensorView::contiguous_over(base.data, base.dtype,
                                     std::span(dims).first(static_cast<std::size_t>(shape.rank())));
}

void gradient_reshape(GradientContext& c) {
  c.give(0, reshape(c.graph, c.arrived(0), c.graph.value(c.input(0)).shape));
}

std::vector<ValueType> infer_copy(const InferContext& c) { return {{c.dtype(0), c.shape(0)}}; }

// Copies a strided source to a contiguous destination, the innermost dimension at a time.
class CopyKernel final : public Kernel {
 public:
  explicit CopyKernel(const BindContext& /*context*/) {}

  void prepare(const Operands& o) override {
    from_ = o.inputs[0];
    to_ = static_cast<std::byte*>(o.outputs[0].data);
    size_ = dtype_size(from_.dtype);
  }

  void run(kernels::Workers& /*workers*/) override {
    const auto* const base = static_cast<const std::byte*>(from_.data);
    const std::int64_t cols = from_.cols(), step = from_.rank == 0 ? 1 : from_.stride(-1);
    std::byte* to = to_;
    for (std::int64_t row = 0; row < from_.rows(); ++row) {
      std::int64_t offset = 0, rest = row;
      for (int i = from_.rank - 2; i >= 0; --i) {
        offset += rest % from_.dim(i) * from_.stride(i);
        rest /= from_.dim(i);
      }
      const std::byte* from = base + static_cast<std::size_t>(offset) * size_;
      if (step == 1) {
        const std::size_t bytes = static_cast<std::size_t>(cols) * size_;
        if (bytes > 0) std::memcpy(to, from, bytes);
        to += bytes;
        continue;
      }
      for (std::int64_t c = 0; c < cols; ++c) {
        std::memcpy(to, from + static_cast<std::size_t>(c * step) * size_, size_);
        to += size_;
      }
    }
  }

 private:
  TensorView from_;
  std::byte* to_ = nullptr;
  std::size_t size_ = 0;
};

void gradient_copy(GradientContext& c) { c.give(0, c.arrived(0)); }

// pad: the gradient of a slice, put back among zeros. inputs: dy, the sliced x (for its shape)
std::vector<ValueType> infer_pad(const InferContext& c) { return {{c.dtype(0), c.shape(1)}}; }

class PadKernel final : public Kernel {
 public:
  explicit PadKernel(const BindContext& c) : slice_(c.attributes<SliceAttributes>()) {}

  void prepare(const Operands& o) override {
    from_ = o.inputs[0];
    to_ = o.outputs[0];
    length_ = from_.dim(slice_.dim);
    begin_ = slice_.begin(to_.dim(slice_.dim), length_);  // the slice may not be in the session
  }

  void run(kernels::Workers& /*workers*/) override {
    const std::size_t size = dtype_size(to_.dtype);
    std::memset(to_.data, 0, static_cast<std::size_t>(to_.elements()) * size);
    std::int64_t outer = 1;
    for (int i = 0; i < slice_.dim; ++i) outer *= to_.dim(i);
    const std::int64_t inner = to_.stride(slice_.dim);
    const auto run_bytes = static_cast<std::size_t>(length_ * inner) * size;
    const auto whole_bytes = static_cast<std::size_t>(to_.dim(slice_.dim) * inner) * size;
    const auto* from = static_cast<const std::byte*>(from_.data);
    std::byte* to =
        static_cast<std::byte*>(to_.data) + static_cast<std::size_t>(begin_ * inner) * size;
    for (std::int64_t i = 0; i < outer && run_bytes > 0; ++i) {
      std::memcpy(to, from, run_bytes);
      from += run_bytes;
      to += whole_bytes;
    }
  }

 private:
  SliceAttributes slice_;
  TensorView from_, to_;
  std::int64_t begin_ = 0, length_ = 0;
};

}  // namespace

const OpDef transpose_op{.name = "transpose",
                         .infer = infer_transpose,
                         .view = view_transpose,
                         .gradient = gradient_transpose,
                         .aliases = true};
const OpDef slice_op{.name = "slice",
                     .infer = infer_slice,
                     .view = view_slice,
                     .gradient = gradient_slice,
                     .aliases = true};
const OpDef reshape_op{.name = "reshape",
                       .infer = infer_reshape,
                       .view = view_reshape,
                       .gradient = gradient_reshape,
                       .aliases = true};
const OpDef copy_op{.name = "copy",
                    .infer = infer_copy,
                    .bind = make<CopyKernel>,
                    .gradient = gradient_copy,
                    .strided_any = true};
const OpDef pad_op{.name = "pad", .infer = infer_pad, .bind = make<PadKernel>};

ValueId copy(Graph& graph, ValueId x) { return graph.apply(copy_op, {x}); }

ValueId transpose(Graph& graph, ValueId x, int dim_a, int dim_b) {
  const int rank = graph.value(x).shape.rank();
  return graph.apply(
      transpose_op, {x},
      TransposeAttributes{dim_a < 0 ? dim_a + rank : dim_a, dim_b < 0 ? dim_b + rank : dim_b});
}

ValueId slice(Graph& graph, ValueId x, int dim, std::int64_t start, std::int64_t length) {
  const int rank = graph.value(x).shape.rank();
  return graph.apply(slice_op, {x},
                     SliceAttributes{dim < 0 ? dim + rank : dim, start, length, false});
}

ValueId first(Graph& graph, ValueId x, int dim, Dim length) {
  const int rank = graph.value(x).shape.rank();
  return graph.apply(slice_op, {x}, SliceAttributes{dim < 0 ? dim + rank : dim, 0, length, false});
}

ValueId last(Graph& graph, ValueId x, int dim, Dim length) {
  const int rank = graph.value(x).shape.rank();
  return graph.apply(slice_op, {x}, SliceAttributes{dim < 0 ? dim + rank : dim, 0, length, true});
}

ValueId reshape(Graph& graph, ValueId x, Shape shape) {
  if (!graph.value(x).contiguous) x = copy(graph, x);
  return graph.apply(reshape_op, {x}, ReshapeAttributes{shape});
}

}  // namespace attn::runtime
