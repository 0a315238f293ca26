// What training reads: checkpoints, adapters, lines of data.

#include "attn/tune.hpp"
#include "attn/tune_data.hpp"
#include "fuzz/opened.hpp"
#include "fuzz/scratch.hpp"
#include "fuzz/targets.hpp"
#include "models/lora/adapter_files.hpp"
#include "models/training/run_record.hpp"
#include "runtime/formats/safetensors.hpp"
#include "runtime/formats/safetensors_check.hpp"
#include "support/small_models.hpp"

#include <array>

namespace attn::fuzz {
namespace {

TuneOptions tuning() {
  TuneOptions options;
  options.context = 8;
  options.batch_size = 1;
  options.lora.rank = 1;
  return options;
}

Model& base_model(bool encoder) {
  static const std::string decoder_file = test::model_bin(test::small_model("llama"));
  static const std::string encoder_file = test::model_bin(test::small_model("bert"));
  static Model decoder =
      Model::from_memory(test::bytes_of(decoder_file), "decoder", fuzz_options());
  static Model other = Model::from_memory(test::bytes_of(encoder_file), "encoder", fuzz_options());
  return encoder ? other : decoder;
}

// The input with the checksum that its data has: only so does a damaged file get past it.
std::string with_checksum(std::string_view input) {
  constexpr std::size_t prefix = 8, digits = 16;
  constexpr std::string_view mark = "\"xxh3:";
  std::string repaired(input);
  const std::size_t at = repaired.find(mark);
  if (at == std::string::npos || at + mark.size() + digits > repaired.size()) return repaired;
  std::uint64_t length = 0;
  for (std::size_t i = prefix; i-- > 0;) {
    length = length << 8 | static_cast<unsigned char>(repaired[i]);
  }
  if (length > repaired.size() - prefix) return repaired;
  const auto data = test::bytes_of(repaired).subspan(prefix + static_cast<std::size_t>(length));
  const std::string text = runtime::checksum_text(runtime::data_checksum(data));
  return repaired.replace(at + 1, text.size(), text);
}

}  // namespace

bool run_checkpoint(std::string_view input) {
  static Tuner tuner(base_model(false), tuning());
  const auto resume = [&](std::string_view content) {
    const auto file = scratch_file("checkpoint.safetensors", content);
    const std::int64_t before = tuner.steps();
    std::map<std::string, std::string> notes;
    if (!accepts([&] { notes = tuner.resume(file); })) {
      expect(tuner.steps() == before, "an error leaves the tuner as it was");
      return false;
    }
    models::RunRecord record("data", "held out", 0);
    return accepts([&] { record.take(notes, tuner.steps(), "input"); });
  };
  const bool taken = resume(input);
  if (const std::string repaired = with_checksum(input); repaired != input) (void)resume(repaired);
  return taken;
}

std::vector<std::string> checkpoint_seeds() {
  Tuner tuner(base_model(false), tuning());
  models::RunRecord record("data", "held out", 0);
  std::vector<std::string> seeds;
  const auto save = [&] {
    tuner.save_checkpoint(scratch() / "seed.safetensors", record.notes());
    seeds.push_back(test::read_file(scratch() / "seed.safetensors"));
  };
  save();
  const std::array<TuneExample, 1> examples{TuneExample{.tokens = {1, 4, 5, 6}}};
  record.add(tuner.step(examples));
  record.add(tuner.evaluate(examples), tuner.steps());
  save();
  return seeds;
}

bool run_adapter(std::string_view input) {
  const auto parts = parts_of(input, 2);
  if (parts.size() < 2) return false;
  scratch_file(models::adapter_config_name, parts[0]);
  scratch_file(models::adapter_weights_name, parts[1]);
  accepts([&] {
    const models::AdapterFile adapter = models::read_adapter(scratch().path());
    for (const models::AdapterModule& module : adapter.modules) (void)adapter.scale(module);
    // what was read can be written, and is read again as it was
    models::write_adapter(scratch() / "again", adapter);
    expect(models::read_adapter(scratch() / "again") == adapter,
           "an adapter survives a round trip");
  });
  return accepts([&] {
    static const std::string file = test::model_bin(test::small_model("llama"));
    Options options = fuzz_options();
    options.adapters.push_back({scratch().path(), 1});
    Model model = Model::from_memory(test::bytes_of(file), "base", options);
    use(model);
  });
}

std::vector<std::string> adapter_seeds() {
  Tuner tuner(base_model(false), tuning());
  tuner.save(scratch() / "seed");
  return {joined({test::read_file(scratch() / "seed" / models::adapter_config_name),
                  test::read_file(scratch() / "seed" / models::adapter_weights_name)})};
}

bool run_data_lines(std::string_view input) {
  if (input.empty()) return false;
  constexpr unsigned tasks = 3;
  const auto choice = static_cast<unsigned char>(input.front());
  const bool lines = choice / tasks % 2 == 0;
  const auto file = scratch_file(lines ? "data.jsonl" : "data.txt", input.substr(1));
  constexpr int context = 24;
  const DataOptions options{.context = context};
  const std::array<std::string, 1> look_at{"the"};
  return accepts([&] {
    const Model& model = base_model(choice % tasks == 2);
    std::vector<TuneExample> examples;
    switch (choice % tasks) {
      case 0: examples = language_examples(model, file, options); break;
      case 1: examples = attention_examples(model, file, look_at, options); break;
      default: examples = similarity_examples(model, file, options);
    }
    expect(!examples.empty(), "data without an error has examples");
    for (const TuneExample& example : examples) {
      expect(!example.tokens.empty() && example.tokens.size() <= context,
             "an example fits its context");
      expect(example.targets.empty() || example.targets.size() == example.tokens.size(),
             "an example has a target for each token");
      for (const std::vector<std::int32_t>* ids : {&example.tokens, &example.other}) {
        for (const std::int32_t id : *ids) {
          expect(id >= 0 && id < model.text().vocab_size, "a token is in the vocabulary");
        }
      }
    }
  });
}

std::vector<std::string> data_lines_seeds() {
  return {std::string(1, '\0') + R"({"text": "the elephant to the"}
{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
{"tokens": [1, 4, 5], "targets": [-1, 5, 2]}
)",
          "\x01"
          R"({"text": "the big cat", "size_words": ["big"]}
{"text": "to the end."})",
          "\x02"
          R"({"a": "the", "b": "elephant", "score": 0.5}
{"sentence1": "to", "sentence2": "two", "score": -1}
)",
          "\x03the elephant\nto the\n",
          "\x04the cat,\nis the one\n",
          "\x05the\telephant\t0.5\r\na\tb\t-1\r\n"};
}

}  // namespace attn::fuzz
