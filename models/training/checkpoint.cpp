#include "models/training/checkpoint.hpp"

#include "attn/error.hpp"
#include "runtime/formats/safetensors.hpp"
#include "runtime/formats/safetensors_check.hpp"
#include "runtime/formats/safetensors_writer.hpp"
#include "runtime/formats/text.hpp"

#include <bit>
#include <charconv>
#include <cstring>
#include <limits>
#include <vector>

namespace attn::models {

using runtime::Safetensors;
using runtime::TensorEntry;

namespace {

constexpr const char* version_key = "attn.checkpoint";
constexpr const char* version = "2";
constexpr const char* step_key = "attn.checkpoint.step";
constexpr const char* of_key = "attn.checkpoint.of";
constexpr const char* base_key = "attn.checkpoint.base";
constexpr std::string_view note_prefix = "note.";

// How factors are applied, those included that the model came with.
std::string factors_text(const Trainer& trainer) {
  std::vector<double> numbers;
  for (const WeightSpec& spec : trainer.parameters().specs()) {
    if (!spec.lora) continue;
    numbers.push_back(spec.lora->scale);
    // only then it draws
    if (spec.lora->dropout > 0) numbers.push_back(std::bit_cast<double>(spec.lora->seed));
  }
  if (numbers.empty()) return "";
  return ", factors " +
         runtime::checksum_text(runtime::data_checksum(std::as_bytes(std::span(numbers))));
}

// What the bits of a step depend on, beside weights, moments and data.
std::string options_text(const Trainer& trainer) {
  const TuneOptions& o = trainer.options();
  std::string text = "task " + std::to_string(static_cast<int>(o.task)) + ", method " +
                     std::to_string(static_cast<int>(o.method));
  const auto add = [&](const char* name, double value) {
    text += std::string(", ") + name + " " + to_text(value);
  };
  if (o.method == TuneMethod::lora) {
    add("rank", o.lora.rank);
    add("alpha", o.lora.alpha);
    add("dropout", o.lora.dropout);
  }
  add("batch size", o.batch_size);
  add("accumulate", o.accumulate);
  add("learning rate", o.learning_rate);
  add("weight decay", o.weight_decay);
  add("clip", o.clip);
  add("warm-up", static_cast<double>(o.warmup));
  if (o.schedule == Schedule::cosine) add("cosine over", static_cast<double>(o.steps));
  const bool exact = trainer.precision() == runtime::Precision::f32;
  text += std::string(", precision ") + (exact ? "f32" : "bf16") + ", level " +
          std::string(kernels::isa_name(trainer.model().session.isa));
  text += ", seed " + std::to_string(o.seed) + factors_text(trainer);
  // what is computed again in f32 has the bits it had
  if (o.checkpoint_activations && !exact) text += ", activations checkpointed";
  if (o.task == TuneTask::attention) {
    add("attention weight", o.attention.weight_beside_language.value_or(0));
    for (const int layer : o.attention.layers) add("layer", layer);
    for (const int head : o.attention.heads) add("head", head);
  }
  return text;
}

struct Part {
  const char* prefix;
  const Numbers Parameter::*numbers;
};
constexpr Part parts[] = {
    {"value.", &Parameter::value}, {"m.", &Parameter::m}, {"v.", &Parameter::v}};

[[noreturn]] void refuse(const std::filesystem::path& file, const std::string& what) {
  throw Error(ErrorKind::invalid, runtime::path_text(file) + ": " + what);
}

const std::string& field(const Safetensors& file, const char* key) {
  const auto found = file.metadata().find(key);
  if (found == file.metadata().end()) {
    refuse(file.name(), "is no checkpoint: there is no " + std::string(key));
  }
  return found->second;
}

std::int64_t steps_of(const Safetensors& file) {
  const std::string& text = field(file, step_key);
  std::int32_t steps = 0;  // the kernel of Adam counts in these, and no run comes near their end
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), steps);
  if (error != std::errc{} || end != text.data() + text.size() || steps < 0 ||
      steps == std::numeric_limits<std::int32_t>::max()) {
    refuse(file.name(), std::string(step_key) + " is " + runtime::quote(text));
  }
  return steps;
}

}  // namespace

std::string checksum_of(const TrainedModel& model) {
  std::vector<std::uint64_t> sums;
  const auto add = [&](const void* data, std::size_t bytes) {
    sums.push_back(runtime::data_checksum({static_cast<const std::byte*>(data), bytes}));
  };
  const auto add_text = [&](const std::string& text) { add(text.data(), text.size()); };
  for (const auto& [name, tensor] : model.weights->all()) {
    add_text(name);
    add(tensor.data, tensor.bytes());
  }
  for (const auto& [key, value] : model.metadata->all()) {
    add_text(key);
    add_text(value);
  }
  return runtime::checksum_text(runtime::data_checksum(std::as_bytes(std::span(sums))));
}

void write_checkpoint(const std::filesystem::path& file, const Trainer& trainer,
                      const std::map<std::string, std::string>& notes) {
  const Parameters& parameters = trainer.parameters();
  std::map<std::string, std::string> metadata{{version_key, version},
                                              {step_key, std::to_string(trainer.steps())},
                                              {of_key, options_text(trainer)},
                                              {base_key, trainer.base_checksum()}};
  for (const auto& [key, value] : notes) metadata[std::string(note_prefix) + key] = value;
  std::vector<TensorEntry> tensors;
  for (const Part& part : parts) {
    for (const Parameter& each : parameters.all()) {
      const Numbers& numbers = each.*part.numbers;
      tensors.push_back({part.prefix + each.name,
                         parameters.number(),
                         each.shape,
                         {numbers.data(), numbers.bytes()}});
    }
  }
  for (const TensorEntry& each : tensors) {
    if (!runtime::first_non_finite(each)) continue;
    throw Error(ErrorKind::numerical, runtime::path_text(file) + ": was not written: " + each.name +
                                          " is no longer finite");
  }
  runtime::write_safetensors(file, metadata, tensors);
}

std::map<std::string, std::string> read_checkpoint(const std::filesystem::path& path,
                                                   Trainer& trainer) {
  const Safetensors file = Safetensors::open(path);
  if (field(file, version_key) != version) {
    refuse(path, "is a checkpoint of version " + runtime::quote(field(file, version_key)));
  }
  (void)field(file, runtime::checksum_key);
  file.verify();
  const std::int64_t steps = steps_of(file);
  if (field(file, base_key) != trainer.base_checksum()) {
    refuse(path, "is a checkpoint of another model");
  }
  if (const std::string now = options_text(trainer); field(file, of_key) != now) {
    refuse(path, "is a checkpoint of another tuning: " + runtime::one_line(field(file, of_key)) +
                     "; this one is " + now);
  }
  Parameters& parameters = trainer.parameters();
  std::vector<std::pair<std::byte*, std::span<const std::byte>>> copies;
  for (const Part& part : parts) {
    for (const Parameter& each : parameters.all()) {
      const TensorEntry* const entry = file.find(part.prefix + each.name);
      if (entry == nullptr || entry->shape != each.shape || entry->dtype != parameters.number()) {
        refuse(path, "is a checkpoint of another tuning: tensor " +
                         runtime::quote(part.prefix + each.name) + " is missing or another");
      }
      copies.emplace_back((each.*part.numbers).data(), entry->data);
    }
  }
  if (file.tensors().size() != copies.size()) {
    refuse(path, "is a checkpoint of another tuning: it has more tensors");
  }
  for (const auto& [to, from] : copies) std::memcpy(to, from.data(), from.size());
  trainer.set_steps(steps);
  std::map<std::string, std::string> notes;
  for (const auto& [key, value] : file.metadata()) {
    if (key.starts_with(note_prefix)) notes[key.substr(note_prefix.size())] = value;
  }
  return notes;
}

}  // namespace attn::models
