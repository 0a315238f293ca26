#include "runtime/graph.hpp"

#include "attn/error.hpp"
#include "runtime/op.hpp"
#include "runtime/ops.hpp"
#include "runtime/tiled.hpp"

#include <algorithm>

namespace attn::runtime {

Symbol Graph::symbol(std::string name) {
  if (std::find(symbols_.begin(), symbols_.end(), name) != symbols_.end()) {
    throw Error(ErrorKind::invalid, "graph: symbol '" + name + "' exists");
  }
  symbols_.push_back(std::move(name));
  return static_cast<Symbol>(symbols_.size() - 1);
}

ValueId Graph::push(Value value) {
  const auto id = static_cast<ValueId>(values_.size());
  if (value.storage == ValueId::none) value.storage = id;
  values_.push_back(std::move(value));
  return id;
}

ValueId Graph::named(std::string name, DType dtype, Shape shape, Role role) {
  if (find(role, name) != ValueId::none) {
    throw Error(ErrorKind::invalid, "graph: name '" + name + "' exists");
  }
  for (const Dim dim : shape.dims()) {
    if (dim.symbolic() ? slot(ValueId(dim.symbol)) >= symbols_.size() : dim.extent < 0) {
      throw Error(ErrorKind::invalid, "graph: '" + name + "' has a dimension that does not exist");
    }
  }
  Value value;
  value.name = std::move(name);
  value.dtype = dtype;
  value.shape = shape;
  value.role = role;
  return push(std::move(value));
}

ValueId Graph::input(std::string name, DType dtype, Shape shape) {
  return named(std::move(name), dtype, shape, Role::input);
}

ValueId Graph::weight(std::string name, DType dtype, Shape shape, WeightLayout layout) {
  std::vector<std::int64_t> dims;
  for (const Dim dim : shape.dims()) {
    if (dim.symbolic()) {
      throw Error(ErrorKind::invalid, "graph: weight '" + name + "' has a symbolic dimension");
    }
    dims.push_back(dim.extent);
  }
  if (layout == WeightLayout::tiles && !tiled_size(dtype, dims)) {
    throw Error(ErrorKind::invalid, "graph: weight '" + name + "' cannot stand in tiles");
  }
  const ValueId id = named(std::move(name), dtype, shape, Role::weight);
  values_[slot(id)].layout = layout;
  return id;
}

ValueId Graph::state(std::string name, DType dtype, Shape shape) {
  return named(std::move(name), dtype, shape, Role::state);
}

ValueId Graph::constant(DType dtype, Shape shape, std::vector<double> elements) {
  if (dtype != DType::f64 && dtype != DType::f32 && dtype != DType::i32) {
    throw Error(ErrorKind::invalid,
                "graph: a constant cannot be " + std::string(dtype_name(dtype)));
  }
  std::int64_t count = 1;
  for (const Dim dim : shape.dims()) {
    if (dim.symbolic() || dim.extent < 0 || __builtin_mul_overflow(count, dim.extent, &count)) {
      throw Error(ErrorKind::invalid,
                  "graph: " + to_string(shape, symbols_) + " is no constant's shape");
    }
  }
  if (static_cast<std::size_t>(count) != elements.size()) {
    throw Error(ErrorKind::invalid, "graph: a constant of " + std::to_string(count) +
                                        " elements was given " + std::to_string(elements.size()));
  }
  Value value;
  value.dtype = dtype;
  value.shape = shape;
  value.role = Role::constant;
  value.constant = std::move(elements);
  return push(std::move(value));
}

void Graph::check(ValueId id, std::string_view user) const {
  if (id != ValueId::none && slot(id) >= values_.size()) {
    throw Error(ErrorKind::invalid, std::string(user) + ": value " +
                                        std::to_string(static_cast<int>(id)) + " does not exist");
  }
}

namespace {

struct Layout {
  bool contiguous = true;       // if the base is
  bool rows_contiguous = true;  // if the base's rows are
};

// What a view of that shape looks like, whatever the numbers behind the symbols. A slice of a
// symbolic dimension is contiguous for the one number that equals its length, so two numbers are
// tried; a base whose rows have gaps between them stands for all that are not contiguous.
Layout layout_of_view(const OpDef& op, const Node& node, const Shape& base, std::size_t symbols) {
  Layout layout;
  for (const std::int64_t number : {7, 11}) {
    const std::vector<std::int64_t> probe(symbols, number);
    const auto all = extents(base, probe);
    const auto dims = std::span(all).first(static_cast<std::size_t>(base.rank()));
    auto whole = TensorView::contiguous_over(nullptr, DType::f32, dims);
    layout.contiguous = layout.contiguous && op.view(node, whole, probe).contiguous();
    for (int i = 0; i + 1 < whole.rank; ++i) whole.strides[static_cast<std::size_t>(i)] += 3;
    const TensorView gaps = op.view(node, whole, probe);
    layout.rows_contiguous = layout.rows_contiguous && (gaps.rank == 0 || gaps.stride(-1) == 1);
  }
  return layout;
}

}  // namespace

NodeId Graph::add(const OpDef& op, std::vector<ValueId> inputs, std::any attributes) {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    check(inputs[i], op.name);
    if (inputs[i] == ValueId::none || value(inputs[i]).contiguous || op.view != nullptr) continue;
    const Value& input = value(inputs[i]);
    const bool matrix = (op.strided >> i & 1U) != 0 && input.shape.rank() == 2;
    const bool rows = (op.strided_rows >> i & 1U) != 0 && input.rows_contiguous;
    if (!matrix && !rows && !op.strided_any) inputs[i] = copy(*this, inputs[i]);
  }
  const std::vector<ValueType> types = op.infer(InferContext(*this, op, inputs, attributes));
  const auto id = static_cast<NodeId>(nodes_.size());
  Node node{&op, std::move(inputs), {}, std::move(attributes), way_back_};
  for (const ValueType& type : types) {
    Value result;
    result.dtype = type.dtype;
    result.shape = type.shape;
    result.producer = id;
    if (op.aliases && node.outputs.empty()) {
      const Value& base = value(node.inputs[0]);
      result.storage = base.storage;
      if (op.view != nullptr) {
        const Layout layout = layout_of_view(op, node, base.shape, symbols_.size());
        result.contiguous = base.contiguous && layout.contiguous;
        result.rows_contiguous = base.rows_contiguous && layout.rows_contiguous;
      }
    }
    node.outputs.push_back(push(std::move(result)));
  }
  nodes_.push_back(std::move(node));
  return id;
}

ValueId Graph::apply(const OpDef& op, std::vector<ValueId> inputs, std::any attributes) {
  return node(add(op, std::move(inputs), std::move(attributes))).outputs[0];
}

void Graph::output(std::string name, ValueId value) {
  if (value == ValueId::none) throw Error(ErrorKind::invalid, "output '" + name + "': no value");
  check(value, "output '" + name + "'");
  for (const Output& existing : outputs_) {
    if (existing.name == name)
      throw Error(ErrorKind::invalid, "graph: output '" + name + "' exists");
  }
  if (!this->value(value).contiguous) value = copy(*this, value);
  outputs_.push_back({std::move(name), value});
}

const Value& Graph::value(ValueId id) const {
  if (id == ValueId::none) throw Error(ErrorKind::invalid, "graph: no value where one is needed");
  check(id, "graph");
  return values_[slot(id)];
}

const Node& Graph::node(NodeId id) const {
  if (slot(id) >= nodes_.size()) throw Error(ErrorKind::invalid, "graph: node does not exist");
  return nodes_[slot(id)];
}

ValueId Graph::find(Role role, std::string_view name) const noexcept {
  for (std::size_t i = 0; i < values_.size(); ++i) {
    if (values_[i].role == role && values_[i].name == name) return static_cast<ValueId>(i);
  }
  return ValueId::none;
}

std::string Graph::shape_text(ValueId id) const {
  return id == ValueId::none ? "-" : to_string(value(id).shape, symbols_);
}

const Value& InferContext::value(std::size_t i) const {
  require(has(i), "input " + std::to_string(i) + " is missing");
  return graph_.value(inputs_[i]);
}

void InferContext::require(bool ok, std::string_view what) const {
  if (ok) return;
  std::string message = std::string(op_.name) + ": " + std::string(what) + " (inputs";
  for (const ValueId id : inputs_) message += " " + graph_.shape_text(id);
  throw Error(ErrorKind::invalid, message + ")");
}

void InferContext::require_number(std::size_t i) const {
  const DType type = dtype(i);
  const std::string what = "input " + std::to_string(i) + " is " + std::string(dtype_name(type));
  require(type == DType::f32 || type == DType::f64, what + ", not F32 or F64");
  require(type == dtype(0), what + ", input 0 " + std::string(dtype_name(dtype(0))));
}

std::size_t Kernel::scratch_bytes(const Operands& /*largest*/, int /*workers*/) const { return 0; }

}  // namespace attn::runtime
