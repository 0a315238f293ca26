#include "tools/run/report.hpp"

#include "tools/common/json.hpp"
#include "tools/common/table.hpp"
#include "tools/common/words.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace attn::tools {
namespace {

constexpr std::string_view attention_output = "attention_weights";

const Output* find(std::span<const Output> outputs, std::string_view name) {
  const auto found = std::find_if(outputs.begin(), outputs.end(),
                                  [&](const Output& output) { return output.name == name; });
  return found == outputs.end() ? nullptr : &*found;
}

/// What the keys of an attention map are called: the words, else positions.
std::vector<std::string> key_labels(const Run& run, std::int64_t keys) {
  const auto words = static_cast<std::int64_t>(run.feed.tokens.size());
  return words == keys ? run.feed.tokens : positions(keys);
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string input_text(const Run& run, const Data& data, const Terminal& terminal) {
  const auto* ids = std::get_if<std::vector<std::int32_t>>(&data.values);
  if (ids != nullptr && !run.feed.tokens.empty()) {
    return fmt::format("{} ({})\n  {}\n", data.name, dims_text(data.shape),
                       joined(run.feed.tokens));
  }
  const std::vector<float> values = ids != nullptr ? std::vector<float>(ids->begin(), ids->end())
                                                   : std::get<std::vector<float>>(data.values);
  const std::size_t rank = data.shape.size();
  TensorLabels labels;
  if (rank > 1) labels.rows = positions(data.shape[rank - 2]);
  return tensor_text(data.name, values, data.shape, labels, terminal.width);
}

/// What the maps of attention weights are called: "head 0"; none where there is only one.
std::vector<std::string> map_titles(const Dims& shape) {
  const std::size_t rank = shape.size();
  std::vector<std::string> titles;
  if (rank < 3) return titles;
  const std::int64_t sequences = rank > 3 ? shape[rank - 4] : 1;
  for (std::int64_t s = 0; s < sequences; ++s) {
    for (std::int64_t h = 0; h < shape[rank - 3]; ++h) {
      titles.push_back(rank > 3 ? fmt::format("sequence {}, head {}", s, h)
                                : fmt::format("head {}", h));
    }
  }
  return titles;
}

std::string output_text(const Run& run, const Output& output, const Terminal& terminal) {
  TensorLabels labels;
  const std::size_t rank = output.shape.size();
  if (output.name == attention_output) {
    labels.rows = key_labels(run, output.shape.back());
    if (rank > 1) labels.columns = labels.rows;
    labels.tables = map_titles(output.shape);
  } else if (rank > 1) {
    labels.rows = key_labels(run, output.shape[rank - 2]);
  }
  return tensor_text(output.name, output.values, output.shape, labels, terminal.width);
}

/// The words with their weights, where there is one weight a word.
std::optional<WordWeights> word_weights(const Run& run) {
  const Output* weights = find(run.outputs, attention_output);
  if (weights == nullptr || weights->shape.size() != 1 ||
      run.feed.tokens.size() != weights->values.size()) {
    return std::nullopt;
  }
  return WordWeights{run.feed.tokens, weights->values,
                     mark_size_words(run.feed.tokens, run.model.size_words())};
}

double total_seconds(const std::vector<OpProfile>& profile) {
  double total = 0;
  for (const OpProfile& op : profile) total += op.seconds;
  return total;
}

}  // namespace

std::string profile_json(const std::vector<OpProfile>& profile, const std::string& isa) {
  const double total = total_seconds(profile);
  std::vector<std::string> lines;
  lines.reserve(profile.size());
  for (const OpProfile& op : profile) {
    lines.push_back("{\"op\": " + json_string(op.op) + ", \"shape\": " + json_string(op.shape) +
                    ", \"isa\": " + json_string(isa) + ", \"implementation\": " +
                    json_string(op.implementation) + ", \"calls\": " + std::to_string(op.calls) +
                    ", \"seconds\": " + json_number(op.seconds) +
                    ", \"share\": " + json_number(total > 0 ? op.seconds / total : 0) + "}");
  }
  return json_lines(lines, 1);
}

std::optional<AttentionPicture> attention_picture(const Run& run) {
  const Output* weights = find(run.outputs, attention_output);
  if (weights == nullptr || weights->shape.empty()) return std::nullopt;
  const Dims& shape = weights->shape;
  const std::size_t rank = shape.size();
  AttentionPicture picture;
  picture.title = run.feed.tokens.empty() ? run.model.architecture() : joined(run.feed.tokens);
  picture.columns = key_labels(run, shape.back());
  if (rank == 1) {
    // one query: the last word, or a learned one without a name
    picture.rows = {run.feed.tokens.empty() ? "" : run.feed.tokens.back()};
  } else {
    picture.rows = key_labels(run, shape[rank - 2]);
  }
  const std::size_t size = picture.rows.size() * picture.columns.size();
  std::vector<std::string> titles = map_titles(shape);
  if (titles.empty()) titles.emplace_back();
  for (std::size_t m = 0; m < titles.size(); ++m) {
    const auto values = weights->values.subspan(m * size, size);
    picture.maps.push_back({std::move(titles[m]), {values.begin(), values.end()}});
  }
  return picture;
}

std::string human_text(const Run& run, const Terminal& terminal) {
  std::string out = bold(run.model.architecture(), terminal) + "  " + run.model_name + "\n\n";
  for (const Data& data : run.feed.inputs) out += input_text(run, data, terminal) + "\n";
  const std::optional<WordWeights> words = word_weights(run);
  if (words) out += ranking_text(*words) + "\n";
  for (const Output& output : run.outputs) {
    if (words && output.name == attention_output) continue;  // the ranking is that output
    out += output_text(run, output, terminal) + "\n";
  }
  if (std::optional<AttentionPicture> picture = attention_picture(run)) {
    picture->title.clear();
    out += terminal_heatmap(*picture, terminal.colour, terminal.width);
  }
  return out;
}

std::string json_text(const Run& run, const std::optional<std::vector<OpProfile>>& profile) {
  JsonObject outputs(1);
  for (const Output& output : run.outputs) {
    outputs.add(output.name, json_nested(output.values, output.shape));
  }
  JsonObject object;
  object.add("outputs", outputs.text());
  if (!run.feed.tokens.empty()) object.add("tokens", json_list(run.feed.tokens));
  if (profile) object.add("profile", profile_json(*profile, run.model.info().isa));
  return object.text() + "\n";
}

std::string profile_text(const std::vector<OpProfile>& profile, const std::string& isa,
                         const Terminal& terminal) {
  const double total = total_seconds(profile);
  Table table("llllrrr");
  table.row({"op", "shape", "ISA", "implementation", "calls", "µs", "share"});
  for (const OpProfile& op : profile) {
    table.row({op.op, op.shape, isa, op.implementation, std::to_string(op.calls),
               fmt::format("{:.2f}", op.seconds * 1e6),
               fmt::format("{:.1f}%", total > 0 ? 100 * op.seconds / total : 0)});
  }
  table.row({"total", "", "", "", "", fmt::format("{:.2f}", total * 1e6), ""});
  return "\n" + bold("profile", terminal) + "\n" + table.text(2);
}

}  // namespace attn::tools
