#include "models/model_impl.hpp"
#include "runtime/formats/json.hpp"

#include <algorithm>

namespace attn {

using models::errors_of_ours;
using models::Runner;
using models::WeightSpec;

// The shape of the sample input, or of the model's sentence; empty where there is none.
Dims Model::Impl::sample_shape() const {
  Dims shape;
  if (metadata.has("attn.sample_input")) {
    runtime::Json sample =
        runtime::parse_json(metadata.text("attn.sample_input"), "metadata 'attn.sample_input'");
    if (sample.is_object() && !sample.empty()) sample = runtime::Json(*sample.begin());
    while (sample.is_array() && !sample.empty()) {
      shape.push_back(static_cast<std::int64_t>(sample.size()));
      sample = runtime::Json(sample.front());
    }
  } else if (!sentence.empty()) {
    shape.push_back(static_cast<std::int64_t>(models::split_words(sentence).size()));
  }
  return shape;
}

namespace {

// The numbers of the symbols where the first input has that shape; 1 for those it does not tell.
Dims symbols_for(const Runner& runner, const Dims& shape) {
  Dims symbols(runner.graph().symbols().size(), 1);
  const runtime::Shape& input = runner.graph().value(runner.inputs()[0]).shape;
  for (int d = 0; d < input.rank() && static_cast<std::size_t>(d) < shape.size(); ++d) {
    if (!input[d].symbolic()) continue;
    symbols[static_cast<std::size_t>(input[d].symbol)] =
        std::max<std::int64_t>(1, shape[static_cast<std::size_t>(d)]);
  }
  return symbols;
}

}  // namespace

ModelInfo Model::info() const {
  return errors_of_ours([&] {
    ModelInfo info;
    info.architecture = self().name;
    for (const auto& [key, value] : self().metadata.all()) {
      constexpr std::size_t bulk = 400;  // longer values are data, not parameters
      if (value.size() <= bulk) info.parameters[key] = value;
    }
    info.parameter_count = static_cast<std::int64_t>(self().weights.elements());
    for (const WeightSpec& spec : self().specs)
      info.tensors.push_back({spec.name, std::string(runtime::dtype_name(spec.dtype)), spec.shape});
    info.isa = kernels::isa_name(self().isa.isa);
    info.isa_reason = self().isa.why;
    info.threads = self().workers->size();

    const Dims sample = self().sample_shape();
    Runner runner(*self().architecture, self().metadata, self().specs, self().weights,
                  self().batched(sample.size()), self().session_options);
    const runtime::Graph& graph = runner.graph();
    const runtime::Session& session = runner.session(symbols_for(runner, sample));
    for (const runtime::ProfileRow& row : session.profile()) {
      const runtime::Node& node = graph.node(row.node);
      ModelInfo::Node& line = info.graph.emplace_back();
      line.op = row.op;
      line.implementation = row.note;
      for (const runtime::ValueId id : node.inputs) {
        if (id == runtime::ValueId::none) continue;
        const std::string& name = graph.value(graph.value(id).storage).name;
        line.inputs += (line.inputs.empty() ? "" : " ") + name + graph.shape_text(id);
      }
      line.outputs = graph.shape_text(node.outputs[0]);
    }
    const runtime::MemoryReport& memory = session.memory();
    info.memory = {self().weights.bytes(), memory.arena,  memory.results,
                   memory.scratch,         memory.states, memory.results_in_place};
    return info;
  });
}

std::vector<OpProfile> Model::profile() const {
  return errors_of_ours([&] {
    std::vector<OpProfile> rows;
    const auto add = [&](const auto& part) {
      if (!part) return;
      const std::vector<OpProfile> some = part->profile();
      rows.insert(rows.end(), some.begin(), some.end());
    };
    for (const std::unique_ptr<Runner>& runner : self().runners) add(runner);
    add(self().encoder);
    return rows;
  });
}

}  // namespace attn
