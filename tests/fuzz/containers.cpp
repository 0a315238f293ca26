// The two readers that others stand on: JSON texts and safetensors containers.

#include "fuzz/targets.hpp"
#include "runtime/formats/json.hpp"
#include "runtime/formats/safetensors.hpp"
#include "support/files.hpp"
#include "support/small_models.hpp"

namespace attn::fuzz {

using runtime::Json;

bool run_json(std::string_view input) {
  return accepts([&] {
    const Json value = runtime::parse_json(input, "input", {64, 100'000});
    // what was read is written and read again: nothing of it was lost or invented
    expect(runtime::parse_json(value.dump(), "again") == value, "JSON survives a round trip");
    (void)runtime::json_text(value);
    accepts([&] { (void)runtime::json_size(value, "input"); });
  });
}

std::vector<std::string> json_seeds() {
  return {R"({"a": [1, -2, 3.5e2, true, false, null, "x\u00e9\ud83d\ude00\n"], "b": {}})",
          R"([[[[]]], 9007199254740993, 1e308, ""])", R"("text")", "{\"\xc3\xa9\": 1}"};
}

bool run_safetensors(std::string_view input) {
  return accepts([&] {
    const auto file = runtime::Safetensors::from_memory(test::bytes_of(input), "input");
    std::size_t covered = 0;
    for (const runtime::TensorEntry& tensor : file.tensors()) {
      covered += tensor.data.size();
      expect(tensor.data.empty() ||
                 (reinterpret_cast<const char*>(tensor.data.data()) >= input.data() &&
                  reinterpret_cast<const char*>(tensor.data.data()) + tensor.data.size() <=
                      input.data() + input.size()),
             "a tensor lies inside of its file", tensor.name);
      expect(file.find(tensor.name) != nullptr, "a tensor is found by its name", tensor.name);
    }
    expect(covered < input.size(), "tensors do not overlap");
    file.verify();
  });
}

std::vector<std::string> safetensors_seeds() {
  return {test::safetensors_file(test::small_model("llama", 4)),
          test::model_bin(test::small_model("qwen2", 4))};
}

}  // namespace attn::fuzz
