// Tokenizers of real models against what Hugging Face's tokenizers give.

#include "models/text/tokenizer.hpp"

#include "runtime/formats/gguf.hpp"
#include "support/files.hpp"
#include "support/real_models.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <fstream>
#include <iterator>

using namespace attn;
using namespace attn::models;

namespace {

nlohmann::json cases() {
  std::ifstream file(std::string(ATTN_TEST_DATA) + "/tokenizers.json");
  return nlohmann::json::parse(file).at("cases");
}

std::string content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void check_cases(const Tokenizer& tokenizer, const char* key) {
  for (const auto& each : cases()) {
    const auto text = each.at("text").get<std::string>();
    INFO(text);
    CHECK(tokenizer.encode(text) == each.at(key).get<std::vector<std::int32_t>>());
  }
}

Tokenizer minilm(const std::filesystem::path& folder) {
  HuggingFaceTexts texts;
  texts.name = folder.string();
  texts.tokenizer = content(folder / "tokenizer.json");
  texts.tokenizer_config = content(folder / "tokenizer_config.json");
  return Tokenizer(tokenizer_from_huggingface(texts), texts.name);
}

// Through the JSON that a model.bin holds: the same tokenizer.
Tokenizer copied(const Tokenizer& tokenizer) {
  return Tokenizer(tokenizer_spec_from_json(to_json(tokenizer.spec()), "copy"), "copy");
}

}  // namespace

TEST_CASE("SmolLM2's tokenizer gives the reference's tokens, and bytes go through it unchanged") {
  const auto path = test::real_model("smollm2-135m-instruct.Q4_1.gguf");
  if (!path) {
    WARN("SmolLM2 is not here: skipped");
    return;
  }
  const Tokenizer tokenizer(
      *tokenizer_from_gguf(runtime::Gguf::of(runtime::MappedFile::open(*path), path->string())),
      path->string());
  check_cases(tokenizer, "smollm2");
  check_cases(copied(tokenizer), "smollm2");
  for (const auto& each : cases()) {
    const auto text = each.at("text").get<std::string>();
    CHECK(tokenizer.decode(tokenizer.encode(text), false) == text);
  }
  const std::string bytes = "a\xc3(\xe2\x82 b\xed\xa0\x80";
  CHECK(tokenizer.decode(tokenizer.encode(bytes), false) == bytes);
  CHECK(tokenizer.encode("<|im_start|>").size() > 1);
  CHECK(tokenizer.encode("<|im_start|>", {.parse_special = true}) == std::vector<std::int32_t>{1});
  CHECK(tokenizer.spec().begin == 1);
  CHECK(tokenizer.spec().ends.front() == 2);
}

TEST_CASE("MiniLM's tokenizer gives the reference's tokens") {
  const auto folder = test::real_model("all-minilm-l6-v2");
  if (!folder) {
    WARN("MiniLM is not here: skipped");
    return;
  }
  const Tokenizer tokenizer = minilm(*folder);
  check_cases(tokenizer, "minilm");
  check_cases(copied(tokenizer), "minilm");
}
