#include "tools/run/feed.hpp"

#include "attn/error.hpp"
#include "tools/common/table.hpp"

#include <cmath>

namespace attn::tools {
namespace {

/// The words of token ids; none where the model has no vocabulary or an id is beyond it (which the
/// model will say better).
std::vector<std::string> words_of(const Model& model, const std::vector<Data>& inputs) {
  const std::vector<std::string>& vocabulary = model.vocabulary();
  std::vector<std::string> words;
  for (const Data& data : inputs) {
    const auto* ids = std::get_if<std::vector<std::int32_t>>(&data.values);
    if (ids == nullptr) continue;
    for (const std::int32_t id : *ids) {
      if (id < 0 || static_cast<std::size_t>(id) >= vocabulary.size()) return {};
      words.push_back(vocabulary[static_cast<std::size_t>(id)]);
    }
  }
  return words;
}

Feed sentence_feed(const Model& model, const std::string& sentence, const std::string& source) {
  Feed feed;
  feed.source = source;
  feed.tokens = Model::words(sentence);
  for (const PortInfo& port : model.inputs()) {
    if (!port.token_ids) continue;
    std::vector<std::int32_t> ids;
    try {
      ids = model.encode(sentence);
    } catch (const Error& error) {
      throw Error(error.kind(), source + ": " + error.what());
    }
    const auto count = static_cast<std::int64_t>(ids.size());
    feed.inputs.push_back({port.name, {count}, std::move(ids)});
  }
  return feed;
}

/// "x (n × 3)"
std::string needed(const Model& model) {
  std::string text;
  for (const PortInfo& port : model.inputs()) {
    text += (text.empty() ? "" : ", ") + port.name + " (" + dims_text(port.shape) +
            (port.token_ids ? " token ids)" : ")");
  }
  return text;
}

void check_finite(const Output& output, const std::string& source) {
  for (std::size_t i = 0; i < output.values.size(); ++i) {
    if (std::isfinite(output.values[i])) continue;
    throw Error(ErrorKind::numerical,
                source + ": output " + element_name(output.name, unflattened(i, output.shape)) +
                    " is not finite: weights or inputs are not, or too large");
  }
}

}  // namespace

Feed feed_for(const Model& model, const std::string& model_name,
              const std::optional<std::string>& file, const std::optional<std::string>& sentence) {
  const std::vector<PortInfo> ports = model.inputs();
  Feed feed;
  if (file) {
    feed.source = *file == "-" ? "standard input" : *file;
    feed.inputs = parse_data(read_file(*file), feed.source, ports);
    feed.tokens = words_of(model, feed.inputs);
    return feed;
  }
  if (sentence) {
    if (model.vocabulary().empty()) {
      throw Error(ErrorKind::usage, "--sentence: " + model_name + " has no words, it takes " +
                                        needed(model) + " by --input");
    }
    return sentence_feed(model, *sentence, "--sentence");
  }
  if (const auto sample = model.metadata().find("attn.sample_input");
      sample != model.metadata().end()) {
    feed.source = model_name + ": attn.sample_input";
    feed.inputs = parse_json_data(sample->second, feed.source, ports);
    feed.tokens = words_of(model, feed.inputs);
    return feed;
  }
  if (!model.sentence().empty()) {
    return sentence_feed(model, model.sentence(), model_name + ": attn.sentence");
  }
  throw Error(ErrorKind::usage,
              model_name + ": needs an input: " + needed(model) +
                  (model.vocabulary().empty() ? " by --input" : " by --sentence or --input"));
}

std::span<const Output> run_on(Model& model, const Feed& feed) {
  std::vector<Input> inputs;
  for (const Data& data : feed.inputs) inputs.push_back(data.input());
  std::span<const Output> outputs;
  try {
    outputs = model.run(inputs);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::usage && error.kind() != ErrorKind::invalid) throw;
    // the library was used well: it is the file whose shape or ids do not fit
    throw Error(ErrorKind::invalid, feed.source + ": " + error.what());
  }
  for (const Output& output : outputs) check_finite(output, feed.source);
  return outputs;
}

}  // namespace attn::tools
