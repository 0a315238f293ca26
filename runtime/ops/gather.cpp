#include "attn/error.hpp"
#include "kernels/elementwise/elementwise.hpp"
#include "kernels/embedding/embedding.hpp"
#include "kernels/tiles/tiles.hpp"
#include "runtime/op.hpp"
#include "runtime/ops.hpp"
#include "runtime/ops/defs.hpp"
#include "runtime/stored.hpp"

#include <algorithm>
#include <string>

namespace attn::runtime {
namespace {

std::vector<ValueType> infer(const InferContext& c) {
  const bool stored = storage_only(c.dtype(0));
  if (!stored) c.require_number(0);
  c.require(c.shape(0).rank() == 2, "the table is [rows, cols]");
  c.require(!stored || (c.value(0).role == Role::weight &&
                        c.shape(0)[1].extent % dtype_block(c.dtype(0)) == 0),
            "a stored table is a weight of whole blocks");
  c.require(c.dtype(1) == DType::i32 && c.shape(1).rank() == 1, "ids are I32 [count]");
  return {{stored ? DType::f32 : c.dtype(0), Shape{c.shape(1)[0], c.shape(0)[1]}}};
}

void check_ids(kernels::index_t count, const std::int32_t* ids, kernels::index_t rows) {
  const kernels::index_t bad = kernels::first_out_of_range(count, ids, rows);
  if (bad == count) return;
  throw Error(ErrorKind::invalid, "gather: id " + std::to_string(ids[bad]) + " at position " +
                                      std::to_string(bad) + " is not in 0.." +
                                      std::to_string(rows - 1));
}

template <class T>
class GatherKernel final : public Kernel {
 public:
  explicit GatherKernel(const BindContext& c) : isa_(c.isa) {}

  void prepare(const Operands& o) override {
    rows_ = o.inputs[0].dim(0);
    table_ = o.inputs[0].as<const T>();
    ids_ = o.inputs[1].as<const std::int32_t>();
    count_ = o.outputs[0].dim(0);
    cols_ = o.outputs[0].dim(1);
    y_ = o.outputs[0].as<T>();
  }
  void run(kernels::Workers& workers) override {
    check_ids(count_, ids_, rows_);
    kernels::gather_rows(isa_, workers, count_, cols_, table_, ids_, y_);
  }

 private:
  kernels::Isa isa_;
  kernels::index_t rows_ = 0, count_ = 0, cols_ = 0;
  const T* table_ = nullptr;
  const std::int32_t* ids_ = nullptr;
  T* y_ = nullptr;
};

// Decodes the rows that are asked for; those that stand in tiles are put together first.
class StoredGatherKernel final : public Kernel {
 public:
  explicit StoredGatherKernel(const BindContext& c)
      : isa_(c.isa),
        type_(*weight_type(c.dtype(0))),
        in_tiles_(c.layout(0) == WeightLayout::tiles) {}

  [[nodiscard]] std::size_t scratch_bytes(const Operands& largest, int workers) const override {
    const kernels::index_t bytes = kernels::row_bytes(type_, largest.outputs[0].dim(1));
    return in_tiles_ ? static_cast<std::size_t>(bytes * workers) : 0;
  }

  void prepare(const Operands& o) override {
    rows_ = o.inputs[0].dim(0);
    table_ = static_cast<const std::byte*>(o.inputs[0].data);
    ids_ = o.inputs[1].as<const std::int32_t>();
    count_ = o.outputs[0].dim(0);
    cols_ = o.outputs[0].dim(1);
    y_ = o.outputs[0].as<float>();
    scratch_ = static_cast<std::byte*>(o.scratch);
  }
  void run(kernels::Workers& workers) override {
    check_ids(count_, ids_, rows_);
    const kernels::index_t bytes = kernels::row_bytes(type_, cols_);
    constexpr kernels::index_t grain = 16;  // rows: some 10 µs
    kernels::parallel_for(
        workers, kernels::ceil_div(count_, grain), [&](kernels::index_t chunk, int worker) {
          for (kernels::index_t i = chunk * grain; i < std::min(count_, (chunk + 1) * grain); ++i) {
            const std::byte* row = table_ + ids_[i] * bytes;
            if (in_tiles_) {
              row = scratch_ + worker * bytes;
              kernels::read_tiles(type_, cols_, table_, ids_[i], scratch_ + worker * bytes);
            }
            kernels::dequantize(isa_, type_, cols_, row, y_ + i * cols_);
          }
        });
  }

 private:
  kernels::Isa isa_;
  kernels::WeightType type_;
  bool in_tiles_;
  kernels::index_t rows_ = 0, count_ = 0, cols_ = 0;
  const std::byte* table_ = nullptr;
  const std::int32_t* ids_ = nullptr;
  float* y_ = nullptr;
  std::byte* scratch_ = nullptr;  // a row a worker
};

std::unique_ptr<Kernel> bind(const BindContext& context) {
  if (storage_only(context.dtype(0))) return std::make_unique<StoredGatherKernel>(context);
  return make_kernel<GatherKernel>(context);
}

// inputs: dy [count, cols], ids [count], table (for its shape) → dtable
std::vector<ValueType> infer_scatter(const InferContext& c) {
  c.require_number(0);
  c.require(c.shape(2).rank() == 2 && c.shape(0) == Shape{c.shape(1)[0], c.shape(2)[1]},
            "the gradient has another shape");
  return {{c.dtype(0), c.shape(2)}};
}

template <class T>
class ScatterAddKernel final : public Kernel {
 public:
  explicit ScatterAddKernel(const BindContext& c) : isa_(c.isa) {}

  void prepare(const Operands& o) override {
    count_ = o.inputs[0].dim(0);
    cols_ = o.inputs[0].dim(1);
    dy_ = o.inputs[0].as<const T>();
    ids_ = o.inputs[1].as<const std::int32_t>();
    rows_ = o.outputs[0].dim(0);
    elements_ = o.outputs[0].elements();
    dtable_ = o.outputs[0].as<T>();
  }
  // the gather itself need not be part of the session, so the ids are checked here as well
  void run(kernels::Workers& workers) override {
    check_ids(count_, ids_, rows_);
    kernels::fill_zeros(workers, elements_, dtable_);
    kernels::scatter_add_rows(isa_, workers, count_, cols_, dy_, ids_, dtable_);
  }

 private:
  kernels::Isa isa_;
  kernels::index_t rows_ = 0, count_ = 0, cols_ = 0, elements_ = 0;
  const T* dy_ = nullptr;
  const std::int32_t* ids_ = nullptr;
  T* dtable_ = nullptr;
};

void gradient(GradientContext& c) {
  if (!c.wanted(0)) return;
  c.give(0, c.graph.apply(scatter_add_op, {c.arrived(0), c.input(1), c.input(0)}));
}

}  // namespace

const OpDef gather_op{.name = "gather", .infer = infer, .bind = bind, .gradient = gradient};
const OpDef scatter_add_op{
    .name = "scatter_add", .infer = infer_scatter, .bind = make_kernel<ScatterAddKernel>};

ValueId gather(Graph& graph, ValueId table, ValueId ids) {
  return graph.apply(gather_op, {table, ids});
}

}  // namespace attn::runtime
