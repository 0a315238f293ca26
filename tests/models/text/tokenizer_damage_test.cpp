// Tokenizers and texts that are not what anybody means: defined results or errors, never more.

#include "models/text/tokenizer.hpp"
#include "models/text/unicode.hpp"
#include "support/files.hpp"
#include "support/small_models.hpp"

#include <catch2/catch.hpp>

using namespace attn;
using models::Tokenizer;
using models::TokenizerSpec;

TEST_CASE("the character that ends a text is found from behind", "[tokenizer]") {
  for (const std::string_view whole : {"a", "\u00e9", "\u20ac", "\U0001F600"}) {
    for (const std::string_view before : {"", "x", "\u00e9", "\x80", "\xff\x80\x80\x80\x80"}) {
      const std::string text = std::string(before) + std::string(whole);
      CHECK(models::last_character(text).length == whole.size());
      CHECK(models::last_character(text).code == models::character_at(whole, 0).code);
    }
  }
  for (const std::string_view broken : {"\x80", "a\x80", "\xc3", "\u00e9\x80", "\xe2\x82",
                                        "\x80\x80\x80\x80\x80", "\xf0\x9f\x98"}) {
    CHECK(models::last_character(broken).length == 1);
    CHECK_FALSE(models::last_character(broken).valid());
  }
}

TEST_CASE("added tokens look at whole characters beside them", "[tokenizer]") {
  const Tokenizer tokenizer(test::byte_tokenizer(), "bytes");
  const auto count = [&](std::string_view text, std::string_view token) {
    std::size_t found = 0;
    for (const std::int32_t id : tokenizer.encode(text, {.add_special = false})) {
      found += tokenizer.bytes_of(id, false) == token ? 1 : 0;
    }
    return found;
  };
  CHECK(count("word", "word") == 1);
  CHECK(count("a word.", "word") == 1);
  CHECK(count("sword", "word") == 0);
  CHECK(count("\u00e9word", "word") == 0);  // é is a letter
  CHECK(count("\u20acword", "word") == 1);  // € is none
  CHECK(count("\x80word", "word") == 1);    // nor is half a character
  CHECK(count("\x80\x80\x80word", "word") == 1);
  const auto back = [&](std::string_view text) {
    return tokenizer.decode(tokenizer.encode(text, {.add_special = false}), false);
  };
  CHECK(back("voil\u00e0<mask>") == "voil\u00e0<mask>");  // its last byte alone were a blank
  CHECK(back("a \u2003<mask>\u00a0 b") == "a<mask>b");
}

TEST_CASE("pieces that only look like bytes are decoded as they are", "[tokenizer]") {
  TokenizerSpec spec;
  spec.byte_fallback = true;
  for (int byte = 0; byte < 256; ++byte) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    spec.pieces.push_back({'<', '0', 'x', digits[static_cast<std::size_t>(byte / 16)],
                           digits[static_cast<std::size_t>(byte % 16)], '>'});
  }
  const std::vector<std::string> others{"<0xZZ>", "<0x-1>", "<0x+1>",
                                        "<0x 1>", "<0x41?", "<0x411>"};
  for (const std::string& other : others) spec.pieces.push_back(other);
  const Tokenizer tokenizer(spec, "bytes");
  CHECK(tokenizer.bytes_of(0x41, false) == "A");
  for (std::size_t i = 0; i < others.size(); ++i) {
    CHECK(tokenizer.bytes_of(256 + static_cast<std::int32_t>(i), false) == others[i]);
  }
}

TEST_CASE("chat templates by name that are no texts count as none", "[tokenizer]") {
  models::HuggingFaceTexts texts;
  texts.name = "x";
  texts.tokenizer = R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}})";
  for (const char* named : {R"([{"name": 5, "template": "t"}])", R"([{"name": "default"}])",
                            R"([{"name": "default", "template": 5}])", "[5]", "{}"}) {
    texts.tokenizer_config = R"({"chat_template": )" + std::string(named) + "}";
    CHECK(models::tokenizer_from_huggingface(texts).chat_template.empty());
  }
  texts.tokenizer_config = R"({"chat_template": [{"name": "default", "template": "t"}]})";
  CHECK(models::tokenizer_from_huggingface(texts).chat_template == "t");
}
