// Any text through good tokenizers. What comes out is held to more than that nothing breaks.

#include "fuzz/targets.hpp"
#include "models/text/chat.hpp"
#include "models/text/tokenizer.hpp"
#include "models/text/unicode.hpp"
#include "support/small_models.hpp"

#include <algorithm>
#include <array>
#include <memory>

namespace attn::fuzz {

using models::Tokenizer;
using models::TokenizerSpec;
using Tokens = std::vector<std::int32_t>;

namespace {

constexpr TokenizeOptions plain{.add_special = false};

void check_tokens(const Tokenizer& tokenizer, std::string_view text, const Tokens& tokens) {
  for (const std::int32_t token : tokens) {
    expect(token >= 0 && token < tokenizer.size(), "a token is in the vocabulary");
  }
  expect(tokenizer.encode(text, plain) == tokens, "the same text gives the same tokens");
  const TokenizerSpec& spec = tokenizer.spec();
  Tokens whole = spec.prefix;
  whole.insert(whole.end(), tokens.begin(), tokens.end());
  whole.insert(whole.end(), spec.suffix.begin(), spec.suffix.end());
  expect(tokenizer.encode(text) == whole, "special tokens stand around a text and nowhere else");

  // a stream shows valid UTF-8 only, and all of what the tokens say
  models::TextStream stream(tokenizer);
  std::string shown, said;
  for (const std::int32_t token : tokens) {
    shown += stream.feed(token);
    if (!tokenizer.special(token)) said += tokenizer.bytes_of(token, false);
  }
  shown += stream.finish();
  expect(models::valid_utf8(shown) == shown, "a stream is valid UTF-8");
  if (models::valid_utf8(said) == said) expect(shown == said, "a stream shows what was said");
}

// The byte-level tokenizer with the ways to cut a text that are known.
const Tokenizer& byte_pairs(unsigned which) {
  constexpr std::array<const char*, 4> cuts{"gpt2", "llama3", "qwen2", "digits"};
  static std::array<std::unique_ptr<const Tokenizer>, cuts.size()> all;
  which %= cuts.size();
  if (!all[which]) {
    TokenizerSpec spec = test::byte_tokenizer();
    spec.pre_tokenizers[0].kind = cuts[which];
    all[which] = std::make_unique<Tokenizer>(std::move(spec), "bytes");
  }
  return *all[which];
}

std::ptrdiff_t specials(const Tokenizer& tokenizer, const Tokens& tokens) {
  return std::count_if(tokens.begin(), tokens.end(),
                       [&](std::int32_t token) { return tokenizer.special(token); });
}

}  // namespace

bool run_byte_pairs(std::string_view input) {
  if (input.empty()) return false;
  const Tokenizer& tokenizer = byte_pairs(static_cast<unsigned char>(input.front()));
  const std::string text(input.substr(1));
  const Tokens tokens = tokenizer.encode(text, plain);
  check_tokens(tokenizer, text, tokens);
  expect(specials(tokenizer, tokens) == 0, "special tokens in a text stay literal");
  // <mask> takes the blanks beside it along, whole ones; all else comes back byte for byte
  const std::string decoded = tokenizer.decode(tokens, false);
  if (text.find("<mask>") == std::string::npos) {
    expect(decoded == text, "bytes come back as they were");
  } else if (models::valid_utf8(text) == text) {
    expect(models::valid_utf8(decoded) == decoded, "no character is cut");
  }
  (void)tokenizer.encode(text, {.add_special = true, .parse_special = true});

  // no message ends its turn or begins another
  const auto turns = [&](const std::string& content) {
    const std::vector<ChatMessage> messages{{"user" + content, content}};
    return specials(tokenizer, models::chat_tokens(tokenizer, "bytes", messages));
  };
  static const std::ptrdiff_t own = turns("");
  expect(turns(text) == own, "a message holds no special tokens");
  return true;
}

bool run_wordpiece(std::string_view input) {
  static const Tokenizer tokenizer(test::wordpiece_tokenizer(), "words");
  const Tokens tokens = tokenizer.encode(input, plain);
  check_tokens(tokenizer, input, tokens);
  const std::int32_t unknown = *tokenizer.spec().unknown;
  if (std::find(tokens.begin(), tokens.end(), unknown) != tokens.end()) return true;
  if (specials(tokenizer, tokens) > 0) return true;
  expect(tokenizer.encode(tokenizer.decode(tokens, false), plain) == tokens,
         "tokens that are all known come back through their text");
  return true;
}

std::vector<std::string> text_seeds() {
  return {"the elephant tried to get into the car but it was too large.",
          "0the <|im_start|>word <mask> words\n\n  it's 1234567 they'LL\t\r\n",
          "1\xc3\xa9\xe2\x82\xac \xf0\x9f\x98\x80\xe4\xb8\xad\xe6\x96\x87 e\xcc\x81 \xe2\x80\x83",
          "2\xff\xfe\x80 \xed\xa0\x80 \xc0\xaf\xf4\x90\x80\x80 \xe2\x82",
          std::string(300, 'a'),
          std::string("3[CLS] un##known [MASK]\0###ing-[SEP]", 35)};
}

}  // namespace attn::fuzz
