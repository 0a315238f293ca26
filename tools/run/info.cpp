#include "tools/common/json.hpp"
#include "tools/common/table.hpp"
#include "tools/draw/text.hpp"
#include "tools/run/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace attn::tools {
namespace {

std::string grouped(std::int64_t number) {
  std::string digits = std::to_string(number);
  for (std::ptrdiff_t at = std::ssize(digits) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<std::size_t>(at), ",");
  }
  return digits;
}

std::string bytes_text(std::size_t bytes) {
  constexpr std::array<const char*, 5> units{"B", "KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < units.size(); ++unit) value /= 1024;
  return fmt::format("{:.1f} {}", value, units[unit]);
}

std::string ports_json(const std::vector<PortInfo>& ports) {
  std::vector<std::string> lines;
  lines.reserve(ports.size());
  for (const PortInfo& port : ports) {
    lines.push_back("{\"name\": " + json_string(port.name) +
                    ", \"shape\": " + json_list(port.shape) +
                    ", \"token_ids\": " + (port.token_ids ? "true" : "false") + "}");
  }
  return json_lines(lines, 1);
}

std::string ports_text(const std::vector<PortInfo>& ports) {
  std::string text;
  for (const PortInfo& port : ports) {
    text += (text.empty() ? "" : ", ") + port.name + " (" + dims_text(port.shape) +
            (port.token_ids ? " token ids)" : ")");
  }
  return text;
}

}  // namespace

std::string info_text(const Model& model, const std::string& model_name, const Terminal& terminal) {
  const ModelInfo info = model.info();
  const auto heading = [&](const std::string& text) { return "\n" + bold(text, terminal) + "\n"; };

  Table summary("ll");
  summary.row({"model", model_name});
  summary.row({"architecture", info.architecture});
  summary.row({"inputs", ports_text(model.inputs())});
  summary.row({"outputs", ports_text(model.outputs())});
  summary.row({"parameters", grouped(info.parameter_count)});
  summary.row({"threads", std::to_string(info.threads)});
  summary.row({"ISA", info.isa + ": " + info.isa_reason});
  std::string out = summary.text();

  if (!info.parameters.empty()) {
    out += heading("metadata");
    std::size_t widest = 0;
    for (const auto& [key, value] : info.parameters) widest = std::max(widest, key.size());
    Table table("ll");
    for (const auto& [key, value] : info.parameters) {
      const int room = terminal.width - static_cast<int>(widest) - 4;
      table.row({key, fitted(visible(value), std::max(20, room))});
    }
    out += table.text(2);
  }
  if (!info.tensors.empty()) {
    out += heading("tensors");
    Table table("lll");
    for (const ModelInfo::Tensor& tensor : info.tensors) {
      table.row({tensor.name, tensor.dtype, dims_text(tensor.shape)});
    }
    out += table.text(2);
  }
  out += heading("graph");
  Table graph("llll");
  graph.row({"op", "inputs", "outputs", "implementation"});
  for (const ModelInfo::Node& node : info.graph) {
    graph.row({node.op, node.inputs, node.outputs, node.implementation});
  }
  out += graph.text(2);

  const ModelInfo::Memory& memory = info.memory;
  out += heading("memory");
  Table plan("lrl");
  plan.row({"weights", bytes_text(memory.weights), ""});
  plan.row({"arena", bytes_text(memory.arena),
            fmt::format("side by side it would be {} of results and {} of scratch",
                        bytes_text(memory.results_unshared), bytes_text(memory.scratch_unshared))});
  plan.row({"in place", std::to_string(memory.results_in_place),
            memory.results_in_place == 1 ? "result stands where an operand was"
                                         : "results stand where an operand was"});
  plan.row({"states", bytes_text(memory.states), "kept between runs"});
  return out + plan.text(2);
}

std::string info_json(const Model& model, const std::string& model_name) {
  const ModelInfo info = model.info();
  JsonObject metadata(1);
  for (const auto& [key, value] : info.parameters) metadata.add(key, json_string(value));
  std::vector<std::string> tensors, graph;
  for (const ModelInfo::Tensor& tensor : info.tensors) {
    tensors.push_back("{\"name\": " + json_string(tensor.name) + ", \"dtype\": " +
                      json_string(tensor.dtype) + ", \"shape\": " + json_list(tensor.shape) + "}");
  }
  for (const ModelInfo::Node& node : info.graph) {
    graph.push_back("{\"op\": " + json_string(node.op) + ", \"inputs\": " +
                    json_string(node.inputs) + ", \"outputs\": " + json_string(node.outputs) +
                    ", \"implementation\": " + json_string(node.implementation) + "}");
  }
  JsonObject memory(1);
  memory.add("weights", std::to_string(info.memory.weights));
  memory.add("arena", std::to_string(info.memory.arena));
  memory.add("results_unshared", std::to_string(info.memory.results_unshared));
  memory.add("scratch_unshared", std::to_string(info.memory.scratch_unshared));
  memory.add("states", std::to_string(info.memory.states));
  memory.add("results_in_place", std::to_string(info.memory.results_in_place));

  JsonObject object;
  object.add("model", json_string(model_name));
  object.add("architecture", json_string(info.architecture));
  object.add("inputs", ports_json(model.inputs()));
  object.add("outputs", ports_json(model.outputs()));
  object.add("parameter_count", std::to_string(info.parameter_count));
  object.add("threads", std::to_string(info.threads));
  object.add("isa", json_string(info.isa));
  object.add("isa_reason", json_string(info.isa_reason));
  object.add("metadata", metadata.text());
  object.add("tensors", json_lines(tensors, 1));
  object.add("graph", json_lines(graph, 1));
  object.add("memory", memory.text());
  return object.text() + "\n";
}

}  // namespace attn::tools
