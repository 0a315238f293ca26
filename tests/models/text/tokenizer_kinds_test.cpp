// Tokenizers of every kind against what Hugging Face's library gives (tests/data/text/make.py), and
// what is refused.

#include "models/text/tokenizer.hpp"
#include "support/files.hpp"
#include "support/gguf.hpp"
#include "support/references.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <random>

using namespace attn;
using namespace attn::models;
using namespace attn::test;

namespace {

Tokenizer from_json(const std::string& tokenizer) {
  HuggingFaceTexts texts;
  texts.name = "x";
  texts.tokenizer = tokenizer;
  return Tokenizer(tokenizer_from_huggingface(texts), "x");
}

// A GGUF file of a SentencePiece vocabulary: the bytes, then pieces whose scores fall.
std::string scored_file(bool prefix) {
  std::vector<std::string> pieces{"<unk>", "<s>", "</s>"};
  for (int i = 0; i < 256; ++i) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    pieces.push_back(std::string("<0x") + digits[i / 16] + digits[i % 16] + ">");
  }
  const std::vector<std::string> words{"▁", "a", "b", "c", "ab", "▁a", "▁ab", "bc", "abc", "▁▁"};
  pieces.insert(pieces.end(), words.begin(), words.end());
  GgufBytes file;
  file.header(0, 6);
  file.key("tokenizer.ggml.model", gguf_string).text("llama");
  file.key("tokenizer.ggml.tokens", gguf_array).u32(gguf_string).u64(pieces.size());
  for (const std::string& piece : pieces) file.text(piece);
  file.key("tokenizer.ggml.scores", gguf_array).u32(gguf_f32).u64(pieces.size());
  for (std::size_t i = 0; i < pieces.size(); ++i) file.add(-static_cast<float>(i));
  file.key("tokenizer.ggml.token_type", gguf_array).u32(gguf_i32).u64(pieces.size());
  for (std::size_t i = 0; i < pieces.size(); ++i)
    file.u32(i == 0 ? 2 : i < 3 ? 3 : i < 259 ? 6 : 1);
  file.key("tokenizer.ggml.bos_token_id", gguf_u32).u32(1);
  file.key("tokenizer.ggml.add_space_prefix", gguf_bool).add(std::uint8_t{prefix});
  return file.pad().bytes();
}

}  // namespace

TEST_CASE("tokenizers of every kind give what Hugging Face's library gives", "[tokenizer]") {
  const Json cases = data_json("text/cases.json");
  for (const auto& [name, each] : cases["tokenizers"].items()) {
    const Tokenizer tokenizer = from_json(each["tokenizer"].dump());
    const Tokenizer copy(tokenizer_spec_from_json(to_json(tokenizer.spec()), "copy"), "copy");
    for (std::size_t i = 0; i < cases["texts"].size(); ++i) {
      const auto text = cases["texts"][i].get<std::string>();
      INFO(name << ": " << cases["texts"][i].dump(-1, ' ', true));
      const auto expected = each["ids"][i].get<std::vector<std::int32_t>>();
      const TokenizeOptions parse{.parse_special = true};  // as that library does
      CHECK(tokenizer.encode(text, parse) == expected);
      CHECK(copy.encode(text, parse) == expected);
      if (tokenizer.spec().byte_level && name != "gpt2_prefix" && name != "qwen2") {
        CHECK(tokenizer.decode(tokenizer.encode(text), false) == text);
      }
    }
  }
}

TEST_CASE("a SentencePiece vocabulary merges by score, and falls back to bytes", "[tokenizer]") {
  const std::string with = scored_file(true), without = scored_file(false);
  const auto tokenizer = [](const std::string& bytes) {
    return Tokenizer(*tokenizer_from_gguf(runtime::Gguf::from_memory(bytes_of(bytes), "x")), "x");
  };
  using Ids = std::vector<std::int32_t>;
  // the pieces begin at 259: ▁ a b c ab ▁a ▁ab bc abc ▁▁
  CHECK(tokenizer(with).encode("abc") == Ids{1, 265, 262});  // ▁ab c, since ab comes first
  CHECK(tokenizer(without).encode("abc") == Ids{1, 267});    // abc
  CHECK(tokenizer(without).encode("bca") == Ids{1, 266, 260});
  CHECK(tokenizer(with).encode("a  b") == Ids{1, 264, 268, 261});
  CHECK(tokenizer(without).encode("é") == Ids{1, 3 + 0xC3, 3 + 0xA9});
  CHECK(tokenizer(without).encode("") == Ids{1});
  CHECK(tokenizer(with).decode(tokenizer(with).encode("a é b"), true) == "a é b");
}

TEST_CASE("long texts take little more than linear time", "[tokenizer]") {
  const Json cases = data_json("text/cases.json");
  for (const char* const name : {"llama3", "gpt2", "llama2", "bert_uncased", "unigram"}) {
    const Tokenizer tokenizer = from_json(cases["tokenizers"][name]["tokenizer"].dump());
    for (const std::string piece : {"a", "1", " ", "世", "!"}) {
      std::string text;
      while (text.size() < 1'000'000) text += piece;
      INFO(name << " of " << piece);
      const auto begin = std::chrono::steady_clock::now();
      (void)tokenizer.encode(text);
      const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
      CHECK(spent.count() < 10);  // a quadratic one would take hours; sanitizers cost a factor
    }
  }
}

TEST_CASE("any bytes are encoded, by byte-level models without loss", "[tokenizer][damage]") {
  const Json cases = data_json("text/cases.json");
  std::mt19937 bits(2);
  for (const auto& [name, each] : cases["tokenizers"].items()) {
    const Tokenizer tokenizer = from_json(each["tokenizer"].dump());
    for (int i = 0; i < 100; ++i) {
      std::string text(bits() % 60, ' ');
      for (char& c : text) c = static_cast<char>(bits());
      const std::vector<std::int32_t> ids = tokenizer.encode(text);
      for (const std::int32_t id : ids) CHECK((id >= 0 && id < tokenizer.size()));
      if (name == "gpt2" || name == "llama3") CHECK(tokenizer.decode(ids, false) == text);
      TextStream stream(tokenizer);
      std::string shown;
      for (const std::int32_t id : ids) shown += stream.feed(id);
      shown += stream.finish();
      CHECK_NOTHROW(Json(shown).dump());  // UTF-8 throughout
    }
  }
}

TEST_CASE("damaged tokenizers are refused, naming what is wrong", "[tokenizer][damage]") {
  const Json good = data_json("text/cases.json")["tokenizers"]["gpt2"]["tokenizer"];
  const auto refuses = [](const Json& tokenizer, std::initializer_list<std::string_view> parts) {
    require_error(ErrorKind::invalid, parts, [&] { (void)from_json(tokenizer.dump()); });
  };
  CHECK_NOTHROW(from_json(good.dump()));
  Json bad = good;
  bad["model"]["vocab"] = Json::object();
  bad["added_tokens"] = Json::array();
  bad["model"]["merges"] = Json::array();
  refuses(bad, {"vocabulary is empty"});
  bad = good;
  bad["model"]["merges"][3] = Json::array({"Ġ", "nosuch"});
  refuses(bad, {"x/tokenizer.json", "merge 3", "nosuch"});
  bad = good;
  bad["model"]["merges"][0] = "ab";
  refuses(bad, {"merge 0"});
  bad = good;
  bad["model"]["vocab"]["twice"] = 5;
  refuses(bad, {"id 5", "twice"});
  bad = good;
  bad["model"]["vocab"]["far"] = 1 << 30;
  refuses(bad, {"vocab", "1073741824"});
  bad = good;
  bad["model"]["vocab"]["negative"] = -1;
  refuses(bad, {"vocab", "-1"});
  bad = good;
  bad["model"]["type"] = "Wonder";
  refuses(bad, {"Wonder", "BPE"});
  bad = good;
  bad["pre_tokenizer"] = {
      {"type", "Split"}, {"pattern", {{"Regex", "[a-z]+"}}}, {"behavior", "Isolated"}};
  refuses(bad, {"Split", "[a-z]+"});
  bad["pre_tokenizer"] = {{"type", "Unheard"}};
  refuses(bad, {"pre_tokenizer", "Unheard"});
  bad = good;
  bad["normalizer"] = {{"type", "Precompiled"}};
  refuses(bad, {"normalizer", "Precompiled"});
  bad = good;
  bad["post_processor"] = {{"type", "Unheard"}};
  refuses(bad, {"post_processor", "Unheard"});
  bad = good;
  bad["model"]["byte_fallback"] = true;
  refuses(bad, {"byte fallback", "byte 0"});
  TokenizerSpec spec;
  spec.pieces = {"a"};
  spec.suffix = {7};
  require_error(ErrorKind::invalid, {"after a text 7", "0..0"},
                [&] { Tokenizer tokenizer(spec, "x"); });
  spec.suffix.clear();
  spec.model = TokenizerModel::unigram;
  require_error(ErrorKind::invalid, {"0 scores", "1 pieces"},
                [&] { Tokenizer tokenizer(spec, "x"); });
  require_error(ErrorKind::invalid, {"what", "pieces"},
                [] { (void)tokenizer_spec_from_json(R"({"model": "bpe"})", "what"); });
}

TEST_CASE("a GGUF vocabulary that does not hold together is refused", "[tokenizer][damage]") {
  const auto refuses = [](const GgufBytes& file, std::initializer_list<std::string_view> parts) {
    require_error(ErrorKind::invalid, parts, [&] {
      const auto gguf = runtime::Gguf::from_memory(bytes_of(file.bytes()), "x.gguf");
      (void)Tokenizer(*tokenizer_from_gguf(gguf), "x.gguf");
    });
  };
  const auto begin = [](std::uint64_t keys, const char* model) {
    GgufBytes file;
    file.header(0, keys).key("tokenizer.ggml.model", gguf_string).text(model);
    return file;
  };
  const auto tokens = [](GgufBytes& file, const std::vector<std::string>& pieces) {
    file.key("tokenizer.ggml.tokens", gguf_array).u32(gguf_string).u64(pieces.size());
    for (const std::string& piece : pieces) file.text(piece);
  };
  refuses(begin(1, "gpt2").pad(), {"tokenizer.ggml.tokens", "missing"});
  GgufBytes file = begin(2, "wonder");
  tokens(file, {"a"});
  refuses(file.pad(), {"wonder", "gpt2, llama, bert, t5"});
  file = begin(2, "gpt2");
  tokens(file, {"a"});
  refuses(file.pad(), {"tokenizer.ggml.pre", "missing"});
  file = begin(3, "gpt2");
  tokens(file, {"a"});
  file.key("tokenizer.ggml.pre", gguf_string).text("unheard-of");
  refuses(file.pad(), {"tokenizer.ggml.pre", "unheard-of"});
  file = begin(4, "gpt2");
  tokens(file, {"a", "b"});
  file.key("tokenizer.ggml.pre", gguf_string).text("gpt-2");
  file.key("tokenizer.ggml.merges", gguf_array).u32(gguf_string).u64(1).text("a c");
  refuses(file.pad(), {"merge 0", "a c"});
  file = begin(3, "llama");
  tokens(file, {"a"});
  file.key("tokenizer.ggml.scores", gguf_array).u32(gguf_u8).u64(1).zeros(1);
  refuses(file.pad(), {"tokenizer.ggml.scores", "array of u8", "array of f32"});
  file = begin(3, "llama");
  tokens(file, {"a"});
  file.key("tokenizer.ggml.scores", gguf_array).u32(gguf_f32).u64(1).zeros(4);
  refuses(file.pad(), {"byte fallback", "byte 0"});
  file = begin(3, "bert");
  tokens(file, {"a"});
  file.key("tokenizer.ggml.bos_token_id", gguf_u32).u32(9);
  refuses(file.pad(), {"tokenizer.ggml.bos_token_id", "9", "0..0"});
  file = begin(3, "bert");
  tokens(file, {"a", "b"});
  file.key("tokenizer.ggml.token_type", gguf_array).u32(gguf_i32).u64(1).u32(1);
  refuses(file.pad(), {"tokenizer.ggml.token_type", "1 types for 2"});
}
