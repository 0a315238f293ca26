#include "runtime/session.hpp"

#include "attn/error.hpp"
#include "runtime/fuse.hpp"
#include "runtime/memory_plan.hpp"
#include "runtime/op.hpp"
#include "runtime/ops/defs.hpp"
#include "runtime/stored.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>

namespace attn::runtime {
namespace {

constexpr std::uint64_t every_symbol = ~std::uint64_t{0};

// A bit a symbol; those of a graph with more than 64 share the last.
constexpr std::uint64_t symbol_bit(Symbol symbol) {
  constexpr int last = 63;
  return std::uint64_t{1} << std::min(static_cast<int>(symbol), last);
}

[[noreturn]] void too_large(const Graph& graph, ValueId id) {
  throw Error(ErrorKind::memory,
              "value " + graph.shape_text(id) + " does not fit an address space");
}

// The elements of a constant in its own type.
void write_constant(const Value& value, std::byte* to) {
  for (std::size_t i = 0; i < value.constant.size(); ++i) {
    const double element = value.constant[i];
    if (value.dtype == DType::f64) {
      std::memcpy(to + i * sizeof element, &element, sizeof element);
    } else if (value.dtype == DType::f32) {
      const auto narrow = static_cast<float>(element);
      std::memcpy(to + i * sizeof narrow, &narrow, sizeof narrow);
    } else {
      const auto whole = static_cast<std::int32_t>(element);
      std::memcpy(to + i * sizeof whole, &whole, sizeof whole);
    }
  }
}

}  // namespace

struct Session::Step {
  PlannedNode planned;
  std::unique_ptr<Kernel> kernel;
  std::vector<TensorView> inputs, outputs;
  std::byte* scratch = nullptr;
  std::size_t scratch_bytes = 0, scratch_block = 0;
  std::uint64_t depends = 0;  // a bit for each symbol that a tensor of it depends on
  double seconds = 0;
  std::int64_t calls = 0;

  // Its operands among the tensors of all values.
  void take(const std::vector<TensorView>& tensors) {
    const Node& of = planned.node;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      inputs[i] = of.inputs[i] == ValueId::none ? TensorView{} : tensors[slot(of.inputs[i])];
    }
    for (std::size_t o = 0; o < outputs.size(); ++o) outputs[o] = tensors[slot(of.outputs[o])];
  }
};

Memory Session::allocate(std::size_t bytes) const {
  return {bytes, memory_alignment, options_.allocator, "a session"};
}

Session::Session(const Graph& graph, std::span<const ValueId> fetches,
                 std::span<const Binding> bindings, SessionOptions options)
    : graph_(&graph),
      options_(std::move(options)),
      fetches_(fetches.begin(), fetches.end()),
      used_(graph.values().size()),
      data_(graph.values().size()),
      tensors_(graph.values().size()) {
  if (options_.workers == nullptr) options_.workers = &kernels::serial_workers();
  if (!options_.packs) options_.packs = std::make_shared<Packs>(options_.allocator);
  if (options_.bounds.size() != graph.symbols().size()) {
    throw Error(ErrorKind::invalid, "session: " + std::to_string(graph.symbols().size()) +
                                        " symbols need as many bounds, not " +
                                        std::to_string(options_.bounds.size()));
  }
  for (std::size_t i = 0; i < options_.bounds.size(); ++i) {
    if (options_.bounds[i] < 0) {
      throw Error(ErrorKind::invalid, "session: the bound of " + graph.symbols()[i] + " is " +
                                          std::to_string(options_.bounds[i]));
    }
  }
  take_nodes(fuse_projections(graph, needed_nodes(graph, fetches_), fetches_, options_.isa,
                              options_.precision, options_.written_elsewhere));
  find_dependences();
  find_last_stop();
  bind_kernels();
  bind_memory(bindings);
  plan();
  if (options_.bounds.empty()) resolve(every_symbol);
}

Session::~Session() = default;

void Session::take_nodes(std::vector<PlannedNode> nodes) {
  const auto use = [&](ValueId id) {
    if (id != ValueId::none) used_[slot(id)] = used_[slot(graph_->value(id).storage)] = true;
  };
  std::for_each(fetches_.begin(), fetches_.end(), use);
  for (PlannedNode& planned : nodes) {
    const Node& node = planned.node;
    std::for_each(node.inputs.begin(), node.inputs.end(), use);
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      if (i >= 32 || (node.op->optional >> i & 1U) == 0) used_[slot(node.outputs[i])] = true;
    }
    steps_.emplace_back().planned = std::move(planned);
  }
}

bool Session::bf16_grade() const {
  // attention that is handed out is f32-grade, and in all layers, whichever are asked for
  const bool shows = std::any_of(fetches_.begin(), fetches_.end(), [&](ValueId id) {
    const NodeId producer = graph_->value(id).producer;
    return producer != NodeId::none && graph_->node(producer).op == &attention_op &&
           graph_->node(producer).outputs[1] == id;
  });
  if (shows) return false;
  if (options_.precision != Precision::automatic) return options_.precision == Precision::bf16;
  const std::span<const Value> values = graph_->values();
  return std::any_of(values.begin(), values.end(), [](const Value& value) {
    return value.role == Role::weight && storage_only(value.dtype);
  });
}

void Session::bind_kernels() {
  const bool bf16 = bf16_grade();
  const bool trains = std::any_of(steps_.begin(), steps_.end(),
                                  [](const Step& step) { return step.planned.node.way_back; });
  std::vector<bool> written(graph_->values().size());
  for (const ValueId id : options_.written_elsewhere) {
    written[slot(graph_->value(id).storage)] = true;
  }
  for (const Step& step : steps_) {
    const Node& node = step.planned.node;
    for (std::size_t i = 0; i < node.inputs.size() && i < 32; ++i) {
      if ((node.op->writes >> i & 1U) != 0) {
        written[slot(graph_->value(node.inputs[i]).storage)] = true;
      }
    }
  }
  for (Step& step : steps_) {
    const Node& node = step.planned.node;
    step.inputs.resize(node.inputs.size());
    step.outputs.resize(node.outputs.size());
    if (node.op->bind == nullptr) continue;
    const auto constant = std::make_unique<bool[]>(node.inputs.size());  // NOLINT: a span of bool
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.inputs[i] == ValueId::none) continue;
      const ValueId storage = graph_->value(node.inputs[i]).storage;
      const Role role = graph_->value(storage).role;
      constant[i] = (role == Role::weight || role == Role::constant) && !written[slot(storage)] &&
                    storage == node.inputs[i];
    }
    step.kernel =
        node.op->bind({*graph_, node, options_.isa, options_.precision, bf16, trains,
                       std::span<const bool>(constant.get(), node.inputs.size()), options_.packs});
  }
}

// Weights are written by a whole run or not at all.
void Session::find_last_stop() {
  const auto writes_weight = [&](const Step& step) {
    const Node& node = step.planned.node;
    for (std::size_t i = 0; i < node.inputs.size() && i < 32; ++i) {
      if ((node.op->writes >> i & 1U) == 0) continue;
      const ValueId storage = graph_->value(node.inputs[i]).storage;
      if (graph_->value(storage).role == Role::weight) return true;
    }
    return false;
  };
  const auto first = std::find_if(steps_.begin(), steps_.end(), writes_weight);
  last_stop_ = static_cast<std::size_t>(first - steps_.begin());
}

// A view depends on what it looks into as well: where it begins may.
void Session::find_dependences() {
  depends_.resize(used_.size());
  for (std::size_t v = 0; v < used_.size(); ++v) {
    for (const Dim dim : graph_->values()[v].shape.dims()) {
      if (dim.symbolic()) depends_[v] |= symbol_bit(dim.symbol);
    }
  }
  for (Step& step : steps_) {
    const Node& node = step.planned.node;
    for (const ValueId id : node.inputs) {
      if (id != ValueId::none) step.depends |= depends_[slot(id)];
    }
    for (const ValueId id : node.outputs) step.depends |= depends_[slot(id)];
    if (node.op->aliases) depends_[slot(node.outputs[0])] |= step.depends;
  }
}

std::size_t Session::bytes_at_bounds(ValueId id) const {
  const Value& value = graph_->value(id);
  const auto dims = extents(value.shape, options_.bounds);
  std::size_t bytes = dtype_size(value.dtype);
  for (int i = 0; i < value.shape.rank(); ++i) {
    // a row is a whole number of blocks; strides are products of dimensions as well, so a 0 excuses
    // none of the others
    const std::int64_t block = i + 1 == value.shape.rank() ? dtype_block(value.dtype) : 1;
    const auto dim = std::max<std::int64_t>(1, dims[static_cast<std::size_t>(i)] / block);
    if (__builtin_mul_overflow(bytes, static_cast<std::size_t>(dim), &bytes) ||
        bytes > std::numeric_limits<std::size_t>::max() / 2) {
      too_large(*graph_, id);
    }
  }
  return bytes;
}

// Of a state, up to where the next may begin.
std::size_t Session::aligned_bytes(ValueId id) const {
  const std::size_t bytes = std::max<std::size_t>(bytes_at_bounds(id), 1);
  return (bytes + memory_alignment - 1) / memory_alignment * memory_alignment;
}

void Session::bind_memory(std::span<const Binding> bindings) {
  for (const Binding& binding : bindings) {
    const Role role = graph_->value(binding.value).role;
    if (role != Role::weight && role != Role::state) {
      throw Error(ErrorKind::invalid, "session: value " + graph_->shape_text(binding.value) +
                                          " is bound, and is neither a weight nor a state");
    }
    data_[slot(binding.value)] = static_cast<std::byte*>(binding.data);
  }
  std::size_t state_bytes = 0;
  std::vector<ValueId> own_states;
  for (std::size_t v = 0; v < used_.size(); ++v) {
    const auto id = static_cast<ValueId>(v);
    const Value& value = graph_->value(id);
    if (!used_[v] || value.storage != id || data_[v] != nullptr) continue;
    if (value.role == Role::weight) {
      throw Error(ErrorKind::invalid, "session: weight '" + value.name + "' has no data");
    }
    if (value.role == Role::constant) {
      constants_.push_back(allocate(std::max<std::size_t>(bytes_at_bounds(id), 1)));
      data_[v] = constants_.back().data();
      write_constant(value, data_[v]);
    }
    if (value.role == Role::state) {
      own_states.push_back(id);
      state_bytes += aligned_bytes(id);  // two numbers below half of what the type holds
      if (state_bytes > std::numeric_limits<std::size_t>::max() / 2) too_large(*graph_, id);
    }
  }
  memory_.states = state_bytes;
  check_limit(state_bytes);
  // pages of a KV cache that are never written never cost memory
  states_ = Memory::zeros(state_bytes, memory_alignment, options_.allocator, "a session's states");
  std::byte* next = states_.data();
  for (const ValueId id : own_states) {
    data_[slot(id)] = next;
    next += aligned_bytes(id);
  }
}

void Session::check_limit(std::size_t bytes) const {
  if (!options_.memory_limit || bytes <= *options_.memory_limit) return;
  throw Error(ErrorKind::memory, "a session of " + std::to_string(bytes) +
                                     " bytes is over the limit of " +
                                     std::to_string(*options_.memory_limit) + " bytes");
}

std::size_t Session::node_count() const noexcept { return steps_.size(); }

void Session::reset_states() noexcept {
  if (memory_.states > 0) std::memset(states_.data(), 0, memory_.states);
}

// Lifetimes in steps: inputs live always (a session may run twice on them), a result from the step
// that writes it to the last that reads it or a view of it, a fetched one to the end.
void Session::plan() {
  const int end = static_cast<int>(steps_.size());
  std::vector<int> last(used_.size(), -1);
  const auto storage = [&](ValueId id) { return slot(graph_->value(id).storage); };
  for (int s = 0; s < end; ++s) {
    const Node& node = steps_[static_cast<std::size_t>(s)].planned.node;
    for (const ValueId id : node.inputs) {
      if (id != ValueId::none) last[storage(id)] = s;
    }
  }
  for (const ValueId id : fetches_) last[storage(id)] = end;

  // a block for each storage; in place, a result joins the block of an input that ends with it
  std::vector<int> block_of(used_.size(), -1);
  std::vector<MemoryBlock> blocks;
  const auto open_block = [&](std::size_t v, int first, int final) {
    block_of[v] = static_cast<int>(blocks.size());
    const std::size_t bytes = bytes_at_bounds(static_cast<ValueId>(v));
    blocks.push_back({std::max<std::size_t>(bytes, 1), first, final, 0});
  };
  for (std::size_t v = 0; v < used_.size(); ++v) {
    if (used_[v] && graph_->values()[v].role == Role::input) open_block(v, 0, end);
  }
  for (int s = 0; s < end; ++s) {
    const Step& step = steps_[static_cast<std::size_t>(s)];
    const Node& node = step.planned.node;
    for (std::size_t o = 0; o < node.outputs.size(); ++o) {
      const std::size_t v = slot(node.outputs[o]);
      if (!used_[v] || storage(node.outputs[o]) != v) continue;
      const int final = std::max(last[v], s);
      memory_.results += bytes_at_bounds(node.outputs[o]);
      for (std::size_t i = 0; o == 0 && i < node.inputs.size() && block_of[v] < 0; ++i) {
        if (!may_take_over(node, i)) continue;
        const std::size_t in = slot(node.inputs[i]);
        MemoryBlock& block = blocks[static_cast<std::size_t>(block_of[in])];
        if (last[in] != s || block.last != s) continue;
        block.last = final;
        block_of[v] = block_of[in];
        ++memory_.results_in_place;
      }
      if (block_of[v] < 0) open_block(v, s, final);
    }
  }

  plan_scratch(blocks);
  memory_.arena = plan_memory(blocks);
  check_limit(memory_.states + memory_.arena);
  arena_ = allocate(memory_.arena);
  for (std::size_t v = 0; v < used_.size(); ++v) {
    if (block_of[v] >= 0) {
      data_[v] = arena_.data() + blocks[static_cast<std::size_t>(block_of[v])].offset;
    }
  }
  for (Step& step : steps_) {
    if (step.scratch_bytes > 0) {
      step.scratch = arena_.data() + blocks[step.scratch_block].offset;
    }
  }
}

// May output 0 of the node stand in the memory of input i, as far as shapes and the other inputs
// tell? No other input may look into that memory, unless it is the same value in a place where the
// op reads an element before it writes that element.
bool Session::may_take_over(const Node& node, std::size_t i) const {
  const ValueId in = node.inputs[i];
  if ((node.op->in_place >> i & 1U) == 0 || in == ValueId::none) return false;
  const Value &from = graph_->value(in), &to = graph_->value(node.outputs[0]);
  if (from.role != Role::result || from.storage != in || !(from.shape == to.shape) ||
      from.dtype != to.dtype) {
    return false;
  }
  for (std::size_t j = 0; j < node.inputs.size(); ++j) {
    const ValueId other = node.inputs[j];
    if (j == i || other == ValueId::none || graph_->value(other).storage != in) continue;
    if (other != in || (node.op->in_place >> j & 1U) == 0) return false;
  }
  return true;
}

// A block of scratch for each kernel that wants some at the largest shapes.
void Session::plan_scratch(std::vector<MemoryBlock>& blocks) {
  std::vector<TensorView> largest(used_.size());
  look(options_.bounds, every_symbol, largest);
  std::byte present{};  // kernels ask whether an operand is there, and do not look
  for (std::size_t v = 0; v < used_.size(); ++v) {
    if (used_[v]) largest[v].data = &present;
  }
  for (std::size_t s = 0; s < steps_.size(); ++s) {
    Step& step = steps_[s];
    if (!step.kernel) continue;
    step.take(largest);
    step.scratch_bytes =
        step.kernel->scratch_bytes({step.inputs, step.outputs, nullptr}, options_.workers->size());
    memory_.scratch += step.scratch_bytes;
    if (step.scratch_bytes == 0) continue;
    step.scratch_block = blocks.size();
    blocks.push_back({step.scratch_bytes, static_cast<int>(s), static_cast<int>(s), 0});
  }
}

// Every used tensor as those numbers of the symbols shape it, at its place if it has one yet.
void Session::look(std::span<const std::int64_t> symbols, std::uint64_t changed,
                   std::vector<TensorView>& views) const {
  for (std::size_t v = 0; v < used_.size(); ++v) {
    const Value& value = graph_->values()[v];
    if (!used_[v] || value.storage != static_cast<ValueId>(v)) continue;
    if ((depends_[v] & changed) == 0 && changed != every_symbol) continue;
    const auto dims = extents(value.shape, symbols);
    views[v] = TensorView::contiguous_over(
        data_[v], value.dtype, std::span(dims).first(static_cast<std::size_t>(value.shape.rank())));
  }
  for (const Step& step : steps_) {
    const Node& node = step.planned.node;
    if (!node.op->aliases) continue;
    if ((step.depends & changed) == 0 && changed != every_symbol) continue;
    const TensorView& base = views[slot(node.inputs[0])];
    views[slot(node.outputs[0])] =
        node.op->view == nullptr ? base : node.op->view(node, base, symbols);
  }
}

void Session::resize(std::span<const std::int64_t> symbols) {
  const bool counts = symbols.size() == options_.bounds.size();
  for (std::size_t i = 0; i < symbols.size() || !counts; ++i) {
    if (!counts || symbols[i] < 0 || symbols[i] > options_.bounds[i]) {
      throw Error(ErrorKind::invalid, counts ? "session: " + graph_->symbols()[i] + " = " +
                                                   std::to_string(symbols[i]) + " is not in 0.." +
                                                   std::to_string(options_.bounds[i])
                                             : "session: every symbol needs its number");
    }
  }
  std::uint64_t changed = resolved_ ? 0 : every_symbol;
  for (std::size_t i = 0; resolved_ && i < symbols.size(); ++i) {
    if (symbols[i] != symbols_[i]) changed |= symbol_bit(static_cast<Symbol>(i));
  }
  if (changed == 0) return;
  symbols_.assign(symbols.begin(), symbols.end());
  resolve(changed);
}

// Shapes and pointers of every tensor that depends on what changed, then the arguments of the
// kernels that do: for a token more of context the caches and their readers, and nothing else.
void Session::resolve(std::uint64_t changed) {
  resolved_ = false;
  look(symbols_, changed, tensors_);
  for (Step& step : steps_) {
    if ((step.depends & changed) == 0 && changed != every_symbol) continue;
    step.take(tensors_);
    if (step.kernel) step.kernel->prepare({step.inputs, step.outputs, step.scratch});
  }
  resolved_ = true;
}

const TensorView& Session::tensor(ValueId id) const {
  (void)graph_->value(id);
  if (!resolved_ || !tensors_[slot(id)].present()) {
    throw Error(ErrorKind::invalid, "session: value " + graph_->shape_text(id) +
                                        " was not fetched, or the session has no shapes yet");
  }
  return tensors_[slot(id)];
}

void Session::stop_if_cancelled() const {
  if (options_.cancel && options_.cancel->load(std::memory_order_relaxed)) {
    throw Error(ErrorKind::cancelled, "cancelled");
  }
}

void Session::run() {
  if (!resolved_) {
    throw Error(ErrorKind::invalid, "session: run before a resize that succeeded");
  }
  kernels::Workers& workers = *options_.workers;
  using Clock = std::chrono::steady_clock;
  for (std::size_t s = 0; s < steps_.size(); ++s) {
    Step& step = steps_[s];
    if (!step.kernel) continue;
    if (s <= last_stop_) stop_if_cancelled();
    if (!options_.profile) {
      step.kernel->run(workers);
      continue;
    }
    const auto start = Clock::now();
    step.kernel->run(workers);
    step.seconds += std::chrono::duration<double>(Clock::now() - start).count();
    ++step.calls;
  }
}

std::vector<ProfileRow> Session::profile() const {
  std::vector<ProfileRow> rows;
  for (const Step& step : steps_) {
    if (!step.kernel) continue;
    const Node& node = step.planned.node;
    ProfileRow row;
    row.node = step.planned.id;
    row.op = node.op->name;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (!step.inputs[i].present()) continue;
      row.shape += row.shape.empty() ? "[" : " [";
      for (int d = 0; d < step.inputs[i].rank; ++d) {
        row.shape += (d > 0 ? "," : "") + std::to_string(step.inputs[i].dim(d));
      }
      row.shape += "]";
    }
    row.note = step.kernel->note();
    row.calls = step.calls;
    row.seconds = step.seconds;
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace attn::runtime
