#include "models/text/pre_tokenize.hpp"

#include "models/text/normalize.hpp"
#include "models/text/unicode.hpp"

#include <algorithm>
#include <array>

namespace attn::models {
namespace {

// Walks over a text's characters; beyond its end stands a character that is nothing.
class Walk {
 public:
  explicit Walk(std::string_view text) : text_(text) {}

  [[nodiscard]] bool done() const { return at_ == text_.size(); }
  [[nodiscard]] std::size_t at() const { return at_; }
  [[nodiscard]] std::uint32_t code(std::size_t at) const {
    return at < text_.size() ? character_at(text_, at).code : 0x110000;
  }
  [[nodiscard]] std::size_t after(std::size_t at) const {
    return at < text_.size() ? at + character_at(text_, at).length : at;
  }
  [[nodiscard]] std::size_t size() const { return text_.size(); }
  void go(std::size_t to) { at_ = to; }

  // The end of the characters from `at` on for which `is` holds, `most` of them at most.
  template <class Is>
  [[nodiscard]] std::size_t run(std::size_t at, Is is, std::size_t most = ~std::size_t{0}) const {
    for (std::size_t n = 0; n < most && at < text_.size(); ++n) {
      const Character c = character_at(text_, at);
      if (!is(c.code)) break;
      at += c.length;
    }
    return at;
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

bool line_break(std::uint32_t c) { return c == '\r' || c == '\n'; }
bool sign(std::uint32_t c) { return !is_space(c) && !is_letter(c) && !is_number(c); }

// The length of 's 't 're 've 'm 'll 'd at `at`, or 0.
std::size_t contraction(const Walk& walk, std::size_t at, bool any_case) {
  if (walk.code(at) != '\'') return 0;
  const auto lower = [&](std::size_t i) {
    const std::uint32_t c = walk.code(i);
    if (any_case && c >= 'A' && c <= 'Z') return c - 'A' + 'a';
    return any_case && c == 0x17F ? std::uint32_t{'s'} : c;  // long s folds to s
  };
  const std::size_t second = walk.after(at), third = walk.after(second);
  const std::uint32_t a = lower(second), b = lower(third);
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return third - at;
  if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) {
    return walk.after(third) - at;
  }
  return 0;
}

// \s+(?!\S)|\s+ : blanks, the last one left to what follows if there is another.
std::size_t blanks(const Walk& walk, std::size_t at) {
  std::size_t end = at, last = at;
  while (end < walk.size() && is_space(walk.code(end))) {
    last = end;
    end = walk.after(end);
  }
  return end == walk.size() || last == at ? end : last;
}

// '(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
std::size_t gpt2(const Walk& walk) {
  const std::size_t at = walk.at();
  if (const std::size_t length = contraction(walk, at, false)) return at + length;
  const std::size_t word = walk.code(at) == ' ' ? at + 1 : at;
  if (word < walk.size()) {
    const std::uint32_t c = walk.code(word);
    if (is_letter(c)) return walk.run(word, is_letter);
    if (is_number(c)) return walk.run(word, is_number);
    if (sign(c)) return walk.run(word, sign);
  }
  return blanks(walk, at);
}

// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|
// \s*[\r\n]+|\s+(?!\S)|\s+   with as many digits together
std::size_t llama3(const Walk& walk, std::size_t digits) {
  const std::size_t at = walk.at();
  if (const std::size_t length = contraction(walk, at, true)) return at + length;
  const std::uint32_t first = walk.code(at);
  const std::size_t next = walk.after(at);
  if (is_letter(first)) return walk.run(at, is_letter);
  if (!line_break(first) && !is_number(first) && is_letter(walk.code(next))) {
    return walk.run(next, is_letter);
  }
  if (is_number(first)) return walk.run(at, is_number, digits);
  const std::size_t word = first == ' ' ? next : at;
  if (word < walk.size() && sign(walk.code(word))) {
    return walk.run(walk.run(word, sign), line_break);
  }
  // \s*[\r\n]+ : up to the last line break among the blanks
  const std::size_t end = walk.run(at, is_space);
  std::size_t broken = at;
  for (std::size_t i = at; i < end; i = walk.after(i)) {
    if (line_break(walk.code(i))) broken = walk.after(i);
  }
  return broken > at ? broken : blanks(walk, at);
}

// What BERT takes for punctuation: all of ASCII that is neither letter, digit nor blank, too.
bool bert_punctuation(std::uint32_t c) {
  return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) ||
         (c >= 123 && c <= 126) || is_punctuation(c);
}

using Pieces = std::vector<std::string>;

// end(walk) says where the piece that begins at the walk ends.
template <class End>
void cut(const std::string& text, Pieces& to, End end) {
  Walk walk(text);
  while (!walk.done()) {
    const std::size_t begin = walk.at();
    // a piece has a character at least, whatever a pattern says
    const std::size_t stop = std::max(end(walk), walk.after(begin));
    to.push_back(text.substr(begin, stop - begin));
    walk.go(stop);
  }
}

// Pieces without blanks; alone(c): a character that is a piece of its own.
template <class Alone>
void cut_words(const std::string& text, Pieces& to, Alone alone) {
  Walk walk(text);
  while (!walk.done()) {
    walk.go(walk.run(walk.at(), is_space));
    if (walk.done()) break;
    const std::size_t begin = walk.at();
    const std::size_t end =
        alone(walk.code(begin))
            ? walk.after(begin)
            : walk.run(begin, [&](std::uint32_t c) { return !is_space(c) && !alone(c); });
    to.push_back(text.substr(begin, end - begin));
    walk.go(end);
  }
}

// `bytes`: of the text that all steps began with.
void metaspace(const std::string& text, const TokenizerStep& s, bool first, std::size_t bytes,
               Pieces& to) {
  std::string marked;
  for (const char c : text) {
    if (c == ' ') {
      marked += s.a;
      check_growth(marked.size(), bytes);
    } else {
      marked += c;
    }
  }
  const bool begins = s.b == "always" || (s.b == "first" && first);
  if (begins && marked.compare(0, s.a.size(), s.a) != 0) marked = s.a + marked;
  if (!s.flag) return to.push_back(marked);
  for (std::size_t at = 0; at < marked.size();) {
    const std::size_t end = std::min(marked.find(s.a, at + 1), marked.size());
    to.push_back(marked.substr(at, end - at));
    at = end;
  }
}

constexpr std::array<std::string_view, 10> kinds{
    "gpt2",       "llama3",           "qwen2",       "digits",   "prefix_space", "bert",
    "whitespace", "whitespace_split", "punctuation", "metaspace"};

void step(const std::string& text, const TokenizerStep& s, bool first, std::size_t bytes,
          Pieces& to) {
  if (text.empty()) return;
  if (s.kind == "gpt2") return cut(text, to, gpt2);
  if (s.kind == "llama3") return cut(text, to, [](const Walk& walk) { return llama3(walk, 3); });
  if (s.kind == "qwen2") return cut(text, to, [](const Walk& walk) { return llama3(walk, 1); });
  if (s.kind == "prefix_space") return to.push_back(text.front() == ' ' ? text : ' ' + text);
  if (s.kind == "metaspace") return metaspace(text, s, first, bytes, to);
  if (s.kind == "bert") return cut_words(text, to, bert_punctuation);
  if (s.kind == "whitespace_split") {
    return cut_words(text, to, [](std::uint32_t) { return false; });
  }
  if (s.kind == "whitespace") {  // \w+|[^\w\s]+
    Walk walk(text);
    while (!walk.done()) {
      walk.go(walk.run(walk.at(), is_space));
      if (walk.done()) break;
      const bool word = is_word(walk.code(walk.at()));
      const std::size_t end =
          walk.run(walk.at(), [&](std::uint32_t c) { return !is_space(c) && is_word(c) == word; });
      to.push_back(text.substr(walk.at(), end - walk.at()));
      walk.go(end);
    }
    return;
  }
  if (s.kind == "punctuation") {
    return cut(text, to, [](const Walk& walk) {
      if (bert_punctuation(walk.code(walk.at()))) return walk.after(walk.at());
      return walk.run(walk.at(), [](std::uint32_t c) { return !bert_punctuation(c); });
    });
  }
  cut(text, to, [&](const Walk& walk) {  // digits
    if (!is_number(walk.code(walk.at()))) {
      return walk.run(walk.at(), [](std::uint32_t c) { return !is_number(c); });
    }
    return s.flag ? walk.after(walk.at()) : walk.run(walk.at(), is_number);
  });
}

}  // namespace

bool known_pre_tokenizer(std::string_view kind) noexcept {
  return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

std::vector<std::string> pre_tokenize(std::string_view text, std::span<const TokenizerStep> steps,
                                      bool first) {
  Pieces pieces{std::string(text)};
  for (const TokenizerStep& s : steps) {
    Pieces next;
    std::size_t made = 0;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const std::size_t before = next.size();
      step(pieces[i], s, first && i == 0, text.size(), next);
      for (std::size_t n = before; n < next.size(); ++n) made += next[n].size();
      check_growth(made, text.size());
    }
    pieces = std::move(next);
  }
  return pieces;
}

}  // namespace attn::models
