#pragma once

#include "runtime/shape.hpp"
#include "runtime/weight_layout.hpp"

#include <any>
#include <string>
#include <string_view>
#include <vector>

namespace attn::runtime {

struct OpDef;

/// The id of a value of a graph; `none` stands for an optional input that is absent.
enum class ValueId : int { none = -1 };
enum class NodeId : int { none = -1 };

constexpr std::size_t slot(ValueId id) { return static_cast<std::size_t>(id); }
constexpr std::size_t slot(NodeId id) { return static_cast<std::size_t>(id); }

/// Where a value comes from, and how long it lives.
enum class Role {
  input,     ///< given before a run
  weight,    ///< the model's; bound when a session is made, written only by an optimizer
  constant,  ///< part of the graph
  state,     ///< outlives a run, zero at first (a KV cache, Adam's moments)
  result,    ///< computed by a node
};

struct Value {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  Role role = Role::result;
  NodeId producer = NodeId::none;
  /// The value whose memory this one stands in: itself, or for a view the value it looks into.
  ValueId storage = ValueId::none;
  bool contiguous = true;
  /// Do the elements of its innermost dimension lie side by side? (Of a transposed view they may
  /// not, and of a slice they do.)
  bool rows_contiguous = true;
  std::vector<double> constant;  ///< the elements of a constant
  WeightLayout layout = WeightLayout::rows;
};

struct Node {
  const OpDef* op = nullptr;
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
  std::any attributes;    ///< of the type that the op's file declares
  bool way_back = false;  ///< added while a loss was differentiated
};

struct Output {
  std::string name;
  ValueId value;
};

/// What a model computes: values and the nodes between them, in an order in which they can run. A
/// node can only use values that exist, so a graph has no cycles and no dangling ids. Built once,
/// then read; reading from several threads is safe.
class Graph {
 public:
  /// A symbolic dimension. Throws Error(invalid) on a name that exists.
  Symbol symbol(std::string name);

  /// Names are unique among inputs, among weights and among states: Error(invalid) otherwise, and
  /// for a dimension that is negative or of an unknown symbol. A weight has constant dimensions,
  /// and stands in tiles only where it can (runtime/tiled.hpp).
  ValueId input(std::string name, DType dtype, Shape shape);
  ValueId weight(std::string name, DType dtype, Shape shape,
                 WeightLayout layout = WeightLayout::rows);
  ValueId state(std::string name, DType dtype, Shape shape);
  /// A constant of a shape without symbols, its elements row-major: F64, F32, or I32 (whole
  /// numbers). Error(invalid) otherwise.
  ValueId constant(DType dtype, Shape shape, std::vector<double> elements);

  /// Adds a node and infers its outputs. An input that the op wants contiguous and is not gets a
  /// copy in between. Throws Error(invalid) that names the op and the shapes if they do not fit, or
  /// an id that does not exist.
  NodeId add(const OpDef& op, std::vector<ValueId> inputs, std::any attributes = {});

  /// add() for the common case: the first output.
  ValueId apply(const OpDef& op, std::vector<ValueId> inputs, std::any attributes = {});

  /// From now on nodes are added on the way back from a loss. What they compute from a value that
  /// the way there has as well is not to be computed earlier: it would take memory until then.
  void begin_way_back() noexcept { way_back_ = true; }

  /// Names a value as an output of the whole graph, made contiguous where it is not; Error(invalid)
  /// on a name that exists.
  void output(std::string name, ValueId value);

  [[nodiscard]] const Value& value(ValueId id) const;
  [[nodiscard]] const Node& node(NodeId id) const;
  [[nodiscard]] const std::vector<Value>& values() const noexcept { return values_; }
  [[nodiscard]] const std::vector<Node>& nodes() const noexcept { return nodes_; }
  [[nodiscard]] const std::vector<Output>& outputs() const noexcept { return outputs_; }
  [[nodiscard]] const std::vector<std::string>& symbols() const noexcept { return symbols_; }

  /// The input, weight or state of that name, or none.
  [[nodiscard]] ValueId find(Role role, std::string_view name) const noexcept;

  /// "[3, tokens, 64]" of a value; "-" for none.
  [[nodiscard]] std::string shape_text(ValueId id) const;

 private:
  ValueId named(std::string name, DType dtype, Shape shape, Role role);
  ValueId push(Value value);
  void check(ValueId id, std::string_view user) const;

  std::vector<Value> values_;
  std::vector<Node> nodes_;
  std::vector<Output> outputs_;
  std::vector<std::string> symbols_;
  bool way_back_ = false;
};

}  // namespace attn::runtime
