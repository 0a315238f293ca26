// Tokenizers as files describe them: tokenizer.json with what stands beside it, and our own form.

#include "fuzz/targets.hpp"
#include "models/text/tokenizer.hpp"
#include "support/small_models.hpp"

namespace attn::fuzz {

using models::Tokenizer;
using models::TokenizerSpec;

namespace {

constexpr std::string_view text = "the e\u0301lephant, to the [MASK]\n12  <|im_end|>\u2581a\xff";

void use(const TokenizerSpec& spec) {
  const Tokenizer tokenizer(spec, "input");
  const auto all = [&](const Tokenizer& with) {
    return with.encode(text, {.add_special = true, .parse_special = true});
  };
  const std::vector<std::int32_t> tokens = all(tokenizer);
  for (const std::int32_t token : tokens) {
    expect(token >= 0 && token < tokenizer.size(), "a token is in the vocabulary");
    (void)tokenizer.bytes_of(token, false);
  }
  // pieces that the text does not reach are decoded all the same
  constexpr std::int64_t most = 512;
  for (std::int32_t token = 0; token < std::min(tokenizer.size(), most); ++token) {
    (void)tokenizer.bytes_of(token, true);
  }
  (void)tokenizer.decode(tokens, true);

  const std::string written = to_json(spec);
  const TokenizerSpec read = models::tokenizer_spec_from_json(written, "written");
  expect(to_json(read) == written, "a tokenizer survives a round trip");
  expect(all(Tokenizer(read, "read")) == tokens, "and tokenizes as before");
}

}  // namespace

bool run_tokenizer_json(std::string_view input) {
  const auto parts = parts_of(input, 4);
  const bool foreign = accepts([&] {
    models::HuggingFaceTexts texts;
    texts.name = "input";
    texts.tokenizer = parts[0];
    if (parts.size() > 1) texts.tokenizer_config = parts[1];
    if (parts.size() > 2) texts.special_tokens_map = parts[2];
    if (parts.size() > 3) texts.chat_template = parts[3];
    use(models::tokenizer_from_huggingface(texts));
  });
  return accepts([&] { use(models::tokenizer_spec_from_json(parts[0], "input")); }) || foreign;
}

std::vector<std::string> tokenizer_json_seeds() {
  const TokenizerSpec bytes = test::small_model("llama").tokenizer;
  const TokenizerSpec words = test::wordpiece_tokenizer();
  std::vector<std::string> seeds{test::tokenizer_json(bytes), test::tokenizer_json(words),
                                 to_json(bytes), to_json(words)};
  seeds.push_back(joined({test::tokenizer_json(bytes),
                          R"({"bos_token": {"content": "<|im_start|>"}, "eos_token": "<|im_end|>",
                              "chat_template": [{"name": "default", "template": "{{ 1 }}"}]})",
                          R"({"unk_token": "<unk>"})", "{{ messages[0]['content'] }}"}));
  // what the others do not have
  seeds.push_back(R"({"model": {"type": "Unigram", "unk_id": 0,
      "vocab": [["<unk>", 0], ["\u2581", -1.5], ["\u2581the", -2], ["e", -3.25], ["l", -4]]},
    "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "StripAccents"},
      {"type": "Strip", "strip_left": true, "strip_right": false}, {"type": "Lowercase"},
      {"type": "Replace", "pattern": {"String": "a"}, "content": "bc"},
      {"type": "Prepend", "prepend": "\u2581"}]},
    "pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first"},
    "added_tokens": [{"id": 3, "content": "e", "single_word": true, "lstrip": true}]})");
  seeds.push_back(
      R"({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"],
      "ignore_merges": true},
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits"},
      {"type": "Punctuation"}, {"type": "Whitespace"}, {"type": "WhitespaceSplit"},
      {"type": "Split", "pattern": {"Regex": "\\p{N}"}, "behavior": "Isolated"}]},
    "post_processor": {"type": "TemplateProcessing",
      "single": [{"SpecialToken": {"id": "a"}}, {"Sequence": {"id": "A"}}],
      "special_tokens": {"a": {"ids": [0]}}}})");
  return seeds;
}

}  // namespace attn::fuzz
