#pragma once

#include "kernels/isa.hpp"
#include "kernels/workers.hpp"
#include "runtime/graph.hpp"
#include "runtime/packs.hpp"

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace attn::runtime {

struct ValueType {
  DType dtype{};
  Shape shape;
};

/// What an op's shape inference sees.
class InferContext {
 public:
  InferContext(const Graph& graph, const OpDef& op, std::span<const ValueId> inputs,
               const std::any& attributes)
      : graph_(graph), op_(op), inputs_(inputs), attributes_(attributes) {}

  [[nodiscard]] std::size_t count() const noexcept { return inputs_.size(); }
  [[nodiscard]] bool has(std::size_t i) const noexcept {
    return i < inputs_.size() && inputs_[i] != ValueId::none;
  }
  /// Input i; Error(invalid) if it is absent.
  [[nodiscard]] const Value& value(std::size_t i) const;
  [[nodiscard]] const Shape& shape(std::size_t i) const { return value(i).shape; }
  [[nodiscard]] DType dtype(std::size_t i) const { return value(i).dtype; }
  template <class T>
  [[nodiscard]] const T& attributes() const {
    return *std::any_cast<T>(&attributes_);
  }
  /// Throws Error(invalid): "op: what (inputs [3, 4], [5])" unless ok.
  void require(bool ok, std::string_view what) const;
  /// Requires that input i is F32 or F64, and of the type of input 0.
  void require_number(std::size_t i) const;

 private:
  const Graph& graph_;
  const OpDef& op_;
  std::span<const ValueId> inputs_;
  const std::any& attributes_;
};

/// The tensors of one node in a run. An output that nobody asked for, and an optional input that is
/// absent, have no data.
struct Operands {
  std::span<const TensorView> inputs, outputs;
  void* scratch = nullptr;  ///< 64-byte aligned; as many bytes as scratch_bytes() asked for
};

/// A node made ready for one session: its kernel resolved for the ISA level.
class Kernel {
 public:
  Kernel() = default;
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;
  virtual ~Kernel() = default;

  /// Scratch memory that is enough for these operands, the largest that the session's bounds allow,
  /// and for all smaller ones (they carry shapes; their data says only whether they are present).
  [[nodiscard]] virtual std::size_t scratch_bytes(const Operands& largest, int workers) const;
  /// Takes pointers and shapes; called when they change, not on every run. If it throws, it is
  /// called again before the next run.
  virtual void prepare(const Operands& operands) = 0;
  /// Allocates nothing. Throws only on data that it cannot compute with (an id out of range).
  virtual void run(kernels::Workers& workers) = 0;
  /// Which implementation was chosen, and why, where there is a choice.
  [[nodiscard]] virtual std::string note() const { return {}; }
};

/// How exactly products with weights are computed: f32 throughout, or products of numbers rounded
/// to bfloat16, summed in f32; automatic: f32 for f32 weights, bf16 for 16-bit and quantized ones.
/// Few rows, as in a decode step, keep 16 bits of each block of 32 activations instead.
enum class Precision { automatic, f32, bf16 };

struct BindContext {
  const Graph& graph;
  const Node& node;
  kernels::Isa isa;
  Precision precision;
  /// Are products bf16-grade that have no weights to go by: where `precision` says so, or is
  /// automatic and the graph holds 16-bit or quantized weights; never in a session that hands out
  /// attention weights.
  bool bf16_grade;
  /// Does the session come back from a loss?
  bool trains;
  /// Is input i a weight or constant, and no view of one, that nothing in this session writes?
  std::span<const bool> constant;
  std::shared_ptr<Packs> packs;  ///< never null

  [[nodiscard]] DType dtype(std::size_t input) const {
    return graph.value(node.inputs[input]).dtype;
  }
  [[nodiscard]] WeightLayout layout(std::size_t input) const {
    return graph.value(node.inputs[input]).layout;
  }
  template <class T>
  [[nodiscard]] const T& attributes() const {
    return *std::any_cast<T>(&node.attributes);
  }
};

/// What an op's gradient sees while the backward graph is built. Inputs and outputs are those of
/// the forward node.
class GradientContext {
 public:
  virtual ~GradientContext() = default;
  Graph& graph;     // NOLINT: the graph that grows
  const Node node;  // NOLINT: a copy, since the graph's own nodes move while it grows
  GradientContext(Graph& g, Node n) : graph(g), node(std::move(n)) {}
  GradientContext(const GradientContext&) = delete;
  GradientContext& operator=(const GradientContext&) = delete;

  [[nodiscard]] ValueId input(std::size_t i) const { return node.inputs[i]; }
  [[nodiscard]] ValueId output(std::size_t i) const { return node.outputs[i]; }
  template <class T>
  [[nodiscard]] const T& attributes() const {
    return *std::any_cast<T>(&node.attributes);
  }
  /// The gradient that has arrived at output i; none if the loss does not depend on it.
  [[nodiscard]] virtual ValueId arrived(std::size_t i) const = 0;
  /// Does anything wait for the gradient of input i?
  [[nodiscard]] virtual bool wanted(std::size_t i) const = 0;
  /// Adds to the gradient of input i.
  virtual void give(std::size_t i, ValueId gradient) = 0;
};

/// A kind of node. One file of runtime/ops each, listed in runtime/ops/table.cpp.
struct OpDef {
  std::string_view name;
  /// Types and shapes of the outputs; null for what only a session makes, of nodes that have them.
  std::vector<ValueType> (*infer)(const InferContext&) = nullptr;
  /// The kernel; null for a view, which only looks into its first input.
  std::unique_ptr<Kernel> (*bind)(const BindContext&) = nullptr;
  /// For a view: its tensor, from the tensor that it looks into and the symbols' numbers.
  TensorView (*view)(const Node&, const TensorView& base,
                     std::span<const std::int64_t> symbols) = nullptr;
  /// Null: no gradient flows through.
  void (*gradient)(GradientContext&) = nullptr;
  /// Bit i: output 0 may take the memory of input i, which has the same shape: every element of it
  /// is read before the same element of the output is written, and not after.
  unsigned in_place = 0;
  /// Bit i: input i may be a strided matrix (rank 2), one of whose strides is 1. What no such field
  /// allows is made contiguous.
  unsigned strided = 0;
  /// Bit i: input i may have any strides but the innermost, which is 1.
  unsigned strided_rows = 0;
  /// Every input may have any strides.
  bool strided_any = false;
  /// Bit i: input i is written (an optimizer's parameter and moments).
  unsigned writes = 0;
  /// Bit i: output i may be absent, and is unless something uses it.
  unsigned optional = 0;
  /// Output 0 stands in the memory of input 0 (views, optimizers).
  bool aliases = false;
};

/// Makes K<float> or K<double> by the type of input 0.
template <template <class> class K>
std::unique_ptr<Kernel> make_kernel(const BindContext& context) {
  if (context.dtype(0) == DType::f64) return std::make_unique<K<double>>(context);
  return std::make_unique<K<float>>(context);
}

}  // namespace attn::runtime
