#include "attn/error.hpp"
#include "models/text/jinja/syntax.hpp"
#include "models/text/unicode.hpp"
#include "runtime/formats/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace attn::models::jinja {

void fail(const std::string& name, int line, const std::string& problem) {
  constexpr std::size_t longest = 500;  // what a template raises may be a whole conversation
  throw Error(ErrorKind::invalid, "chat template of " + name + ": line " + std::to_string(line) +
                                      ": " + runtime::one_line(problem.substr(0, longest)));
}

namespace {

constexpr std::string_view blanks = " \t\r\n";

bool word_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

class Scanner {
 public:
  Scanner(std::string_view source, const std::string& name) : name_(name) {
    for (std::size_t i = 0; i < source.size(); ++i) {  // a line ends in one character
      const bool pair = source[i] == '\r' && i + 1 < source.size() && source[i + 1] == '\n';
      if (!pair) source_ += source[i] == '\r' ? '\n' : source[i];
    }
    // one newline at the end is not part of a template
    if (source_.ends_with('\n')) source_.pop_back();
  }

  std::vector<Token> scan() {
    while (at_ < source_.size()) {
      const std::size_t open = next_tag();
      add_text(open);
      if (open == source_.size()) break;
      tag(open);
    }
    tokens_.push_back({Lexeme::end, "", line_});
    return std::move(tokens_);
  }

 private:
  [[nodiscard]] std::size_t next_tag() const {
    std::size_t at = at_;
    while ((at = source_.find('{', at)) != std::string::npos) {
      const char after = at + 1 < source_.size() ? source_[at + 1] : ' ';
      if (after == '{' || after == '%' || after == '#') return at;
      ++at;
    }
    return source_.size();
  }

  void count_lines(std::string_view text) {
    line_ += static_cast<int>(std::count(text.begin(), text.end(), '\n'));
  }

  // The text up to a tag, less what the tags on both sides strip.
  void add_text(std::size_t end) {
    const std::string_view text = std::string_view(source_).substr(at_, end - at_);
    count_lines(text);
    std::size_t begin = 0;
    if (strip_all_) {
      begin = std::min(text.find_first_not_of(blanks), text.size());
    } else if (strip_newline_ && text.starts_with('\n')) {
      begin = 1;
    }
    std::size_t stop = text.size();
    if (end < source_.size()) {
      const char kind = source_[end + 1];
      const char control = end + 2 < source_.size() ? source_[end + 2] : ' ';
      if (control == '-') {
        const std::size_t last = text.find_last_not_of(blanks);
        stop = last == std::string_view::npos ? 0 : last + 1;
      } else if (kind != '{' &&
                 control != '+') {  // lstrip_blocks: blanks from the line's beginning
        std::size_t first = stop;
        while (first > 0 && (text[first - 1] == ' ' || text[first - 1] == '\t')) --first;
        const bool line_begins = first == 0 ? at_ == 0 || source_[at_ - 1] == '\n' || begin > 0
                                            : text[first - 1] == '\n';
        if (line_begins) stop = first;
      }
    }
    if (stop > begin) {
      tokens_.push_back({Lexeme::text, std::string(text.substr(begin, stop - begin)), line_});
    }
    at_ = end;
  }

  void tag(std::size_t open) {
    const char kind = source_[open + 1];
    at_ = open + 2;
    if (kind == '#') {
      const std::size_t close = source_.find("#}", at_);
      if (close == std::string::npos) fail(name_, line_, "a comment does not end");
      count_lines(std::string_view(source_).substr(at_, close - at_));
      strip_all_ = close > at_ && source_[close - 1] == '-';
      strip_newline_ = true;
      at_ = close + 2;
      return;
    }
    if (at_ < source_.size() && (source_[at_] == '-' || source_[at_] == '+')) ++at_;
    const bool output = kind == '{';
    tokens_.push_back({output ? Lexeme::begin_output : Lexeme::begin_block, "", line_});
    const std::string_view close = output ? "}}" : "%}";
    int depth = 0;  // of braces: a dict may end right before the tag
    for (;;) {
      skip_blanks();
      if (at_ >= source_.size()) fail(name_, line_, "a tag does not end");
      const std::string_view rest = std::string_view(source_).substr(at_);
      const bool control =
          (rest.front() == '-' || rest.front() == '+') && rest.substr(1).starts_with(close);
      if (depth == 0 && (control || rest.starts_with(close))) {
        at_ += close.size() + (control ? 1 : 0);
        strip_all_ = control && rest.front() == '-';
        strip_newline_ = !output && !(control && rest.front() == '+');
        break;
      }
      if (rest.front() == '{') ++depth;
      if (rest.front() == '}') --depth;
      token();
    }
    tokens_.push_back({output ? Lexeme::end_output : Lexeme::end_block, "", line_});
  }

  void skip_blanks() {
    while (at_ < source_.size() && blanks.find(source_[at_]) != std::string_view::npos) {
      if (source_[at_] == '\n') ++line_;
      ++at_;
    }
  }

  void token() {
    const char c = source_[at_];
    if (c == '\'' || c == '"') return string(c);
    if (word_character(c)) {
      std::size_t end = at_;
      while (end < source_.size() && word_character(source_[end])) ++end;
      const bool number = c >= '0' && c <= '9';
      if (number && end + 1 < source_.size() && source_[end] == '.' && source_[end + 1] >= '0' &&
          source_[end + 1] <= '9') {
        ++end;
        while (end < source_.size() && word_character(source_[end])) ++end;
      }
      tokens_.push_back({number ? Lexeme::number : Lexeme::word,
                         std::string(source_.substr(at_, end - at_)), line_});
      at_ = end;
      return;
    }
    constexpr std::array<std::string_view, 25> signs{
        "==", "!=", "<=", ">=", "//", "**", "+", "-", "*", "/", "%", "~", "<",
        ">",  "=",  "(",  ")",  "[",  "]",  "{", "}", ",", ".", ":", "|"};
    for (const std::string_view sign : signs) {
      if (source_.compare(at_, sign.size(), sign) != 0) continue;
      tokens_.push_back({Lexeme::sign, std::string(sign), line_});
      at_ += sign.size();
      return;
    }
    fail(name_, line_, "unknown sign '" + std::string(1, c) + "'");
  }

  // The character of \xHH or \uHHHH; at_ stays on its last digit.
  void hexadecimal(std::string& text, std::size_t digits) {
    std::uint32_t code = 0;
    const char* const begin = source_.data() + std::min(at_ + 1, source_.size());
    const char* const end = source_.data() + std::min(at_ + 1 + digits, source_.size());
    const auto read = std::from_chars(begin, end, code, 16);
    const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
    if (read.ptr != begin + digits || surrogate) fail(name_, line_, "unknown escape in a string");
    append_utf8(text, code);
    at_ += digits;
  }

  void string(char quote) {
    std::string text;
    const int line = line_;
    for (++at_; at_ < source_.size() && source_[at_] != quote; ++at_) {
      char c = source_[at_];
      if (c == '\n') ++line_;
      if (c == '\\' && at_ + 1 < source_.size()) {
        c = source_[++at_];
        switch (c) {
          case 'n': c = '\n'; break;
          case 't': c = '\t'; break;
          case 'r': c = '\r'; break;
          case 'x': hexadecimal(text, 2); continue;
          case 'u': hexadecimal(text, 4); continue;
          case '\\':
          case '\'':
          case '"': break;
          default: fail(name_, line_, std::string("unknown escape \\") + c);
        }
      }
      text += c;
    }
    if (at_ >= source_.size()) fail(name_, line, "a string does not end");
    ++at_;
    tokens_.push_back({Lexeme::string, text, line});
  }

  std::string source_;
  const std::string& name_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool strip_all_ = false, strip_newline_ = false;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> scan(std::string_view source, const std::string& name) {
  return Scanner(source, name).scan();
}

}  // namespace attn::models::jinja
