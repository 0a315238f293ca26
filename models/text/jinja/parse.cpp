#include "models/text/jinja/syntax.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace attn::models::jinja {
namespace {

// Deeper nesting than any template has would only exhaust the stack.
constexpr int most_depth = 200;
// and an expression of more parts than any has is a chain as deep as it is long
constexpr int most_parts = 5000;

class Parser {
 public:
  Parser(std::string_view source, const std::string& name)
      : name_(name), tokens_(scan(source, name)) {}

  Block parse() {
    Block block = body({});
    return block;
  }

 private:
  // Counts how deep one is inside another.
  struct Deeper {
    explicit Deeper(Parser& parser) : parser_(parser) {
      if (++parser_.depth_ > most_depth) {
        fail(parser_.name_, parser_.now().line, "nested too deeply");
      }
    }
    Deeper(const Deeper&) = delete;
    Deeper& operator=(const Deeper&) = delete;
    ~Deeper() { --parser_.depth_; }
    Parser& parser_;
  };

  [[nodiscard]] const Token& now() const { return tokens_[at_]; }
  Token take() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  [[nodiscard]] bool is(std::string_view text, Lexeme kind = Lexeme::sign) const {
    return now().kind == kind && now().text == text;
  }
  [[nodiscard]] bool word(std::string_view text) const { return is(text, Lexeme::word); }
  bool accept(std::string_view text, Lexeme kind = Lexeme::sign) {
    if (!is(text, kind)) return false;
    (void)take();
    return true;
  }
  void expect(std::string_view text, Lexeme kind = Lexeme::sign) {
    if (!accept(text, kind)) {
      fail(name_, now().line, "'" + std::string(text) + "' is missing before '" + now().text + "'");
    }
  }
  std::string identifier() {
    if (now().kind != Lexeme::word)
      fail(name_, now().line, "a name is missing before '" + now().text + "'");
    return take().text;
  }
  void end_block() {
    if (now().kind != Lexeme::end_block)
      fail(name_, now().line, "unknown '" + now().text + "' in a tag");
    (void)take();
  }

  ExpressionPtr make(Expression kind, int line, std::string text = "") {
    if (++parts_ > most_parts) fail(name_, line, "an expression is too long");
    auto node = std::make_unique<ExpressionNode>();
    node->kind = kind;
    node->line = line;
    node->text = std::move(text);
    return node;
  }

  // Statements up to a tag that begins with one of the words, whose begin_block is taken.
  Block body(std::initializer_list<std::string_view> until) {
    const Deeper deeper(*this);
    Block block;
    for (;;) {
      const Token token = take();
      if (token.kind == Lexeme::end) {
        if (until.size() != 0) fail(name_, token.line, "a block does not end");
        return block;
      }
      if (token.kind == Lexeme::begin_block) {
        for (const std::string_view word : until) {
          if (is(word, Lexeme::word)) return block;
        }
        statement(block);
        continue;
      }
      auto node = std::make_unique<StatementNode>();
      parts_ = 0;
      node->line = token.line;
      if (token.kind == Lexeme::text) {
        node->kind = Statement::text;
        node->text = token.text;
      } else {
        node->kind = Statement::output;
        node->expression = expression();
        if (now().kind != Lexeme::end_output)
          fail(name_, now().line, "unknown '" + now().text + "' in an output");
        (void)take();
      }
      block.push_back(std::move(node));
    }
  }

  void statement(Block& block) {
    auto node = std::make_unique<StatementNode>();
    node->line = now().line;
    parts_ = 0;
    const std::string kind = identifier();
    if (kind == "if") {
      branch(*node);
    } else if (kind == "for") {
      loop(*node);
    } else if (kind == "set") {
      set(*node);
    } else if (kind == "macro") {
      macro(*node);
    } else if (kind == "break" || kind == "continue") {
      if (loops_ == 0) fail(name_, node->line, "'" + kind + "' outside a loop");
      node->kind = kind == "break" ? Statement::stop : Statement::skip;
      end_block();
    } else if (kind == "generation" || kind == "endgeneration") {
      end_block();  // marks what a model says, for training; nothing to do here
      return;
    } else {
      fail(name_, node->line, "unknown statement '" + kind + "'");
    }
    block.push_back(std::move(node));
  }

  void branch(StatementNode& node) {
    node.kind = Statement::branch;
    node.expression = expression();
    end_block();
    node.body = body({"elif", "else", "endif"});
    const std::string next = take().text;
    if (next == "elif") {
      const Deeper deeper(*this);
      auto other = std::make_unique<StatementNode>();
      other->line = now().line;
      branch(*other);
      node.otherwise.push_back(std::move(other));
      return;
    }
    end_block();
    if (next == "else") {
      node.otherwise = body({"endif"});
      (void)take();
      end_block();
    }
  }

  void loop(StatementNode& node) {
    node.kind = Statement::loop;
    do node.names.push_back(identifier());
    while (accept(","));
    expect("in", Lexeme::word);
    node.expression = either();
    if (accept("if", Lexeme::word)) node.condition = expression();
    if (word("recursive")) fail(name_, now().line, "unknown 'recursive'");
    end_block();
    ++loops_;
    node.body = body({"else", "endfor"});
    --loops_;
    if (take().text == "else") {
      end_block();
      node.otherwise = body({"endfor"});
      (void)take();
    }
    end_block();
  }

  void set(StatementNode& node) {
    node.kind = Statement::set;
    node.names.push_back(identifier());
    if (accept(".")) {
      node.text = node.names[0];
      node.names[0] = identifier();
    }
    while (accept(",")) node.names.push_back(identifier());
    if (accept("=")) {
      node.expression = expression();
      end_block();
      return;
    }
    end_block();
    const int loops = std::exchange(loops_, 0);
    node.body = body({"endset"});
    loops_ = loops;
    (void)take();
    end_block();
  }

  void macro(StatementNode& node) {
    node.kind = Statement::macro;
    node.text = identifier();
    expect("(");
    while (!accept(")")) {
      node.names.push_back(identifier());
      node.defaults.push_back(accept("=") ? expression() : nullptr);
      if (!is(")")) expect(",");
    }
    end_block();
    const int loops = std::exchange(loops_, 0);
    node.body = body({"endmacro"});
    loops_ = loops;
    (void)take();
    end_block();
  }

  // An expression, from the weakest binding on.
  ExpressionPtr expression() {
    const Deeper deeper(*this);
    ExpressionPtr value = either();
    while (accept("if", Lexeme::word)) {
      auto node = make(Expression::conditional, now().line);
      node->kids.push_back(std::move(value));
      node->kids.push_back(either());
      node->kids.push_back(accept("else", Lexeme::word) ? expression() : nullptr);
      value = std::move(node);
    }
    return value;
  }

  ExpressionPtr joined(ExpressionPtr left, const std::string& sign, ExpressionPtr right) {
    auto node = make(Expression::binary, now().line, sign);
    node->kids.push_back(std::move(left));
    node->kids.push_back(std::move(right));
    return node;
  }

  ExpressionPtr either() {
    ExpressionPtr left = both();
    while (accept("or", Lexeme::word)) left = joined(std::move(left), "or", both());
    return left;
  }
  ExpressionPtr both() {
    ExpressionPtr left = negation();
    while (accept("and", Lexeme::word)) left = joined(std::move(left), "and", negation());
    return left;
  }
  ExpressionPtr negated(ExpressionPtr value) {
    auto node = make(Expression::unary, now().line, "not");
    node->kids.push_back(std::move(value));
    return node;
  }
  ExpressionPtr negation() {
    const Deeper deeper(*this);
    if (accept("not", Lexeme::word)) return negated(negation());
    return comparison();
  }
  std::string comparison_sign() {
    for (const char* sign : {"==", "!=", "<=", ">=", "<", ">"}) {
      if (accept(sign)) return sign;
    }
    if (accept("in", Lexeme::word)) return "in";
    if (word("not") && tokens_[at_ + 1].kind == Lexeme::word && tokens_[at_ + 1].text == "in") {
      (void)take();
      (void)take();
      return "not in";
    }
    return "";
  }
  ExpressionPtr comparison() {
    ExpressionPtr left = sum();
    std::string sign = comparison_sign();
    if (sign.empty()) return left;
    auto node = make(Expression::comparison, now().line);
    node->kids.push_back(std::move(left));
    for (; !sign.empty(); sign = comparison_sign()) {
      node->signs.push_back(sign);
      node->kids.push_back(sum());
    }
    return node;
  }

  // Operators of equal strength, from left to right.
  template <class Operand>
  ExpressionPtr chain(std::initializer_list<std::string_view> signs, Operand&& operand) {
    ExpressionPtr left = operand();
    const auto here = [&] {
      return std::any_of(signs.begin(), signs.end(),
                         [&](std::string_view sign) { return is(sign); });
    };
    while (here()) {
      const std::string sign = take().text;
      left = joined(std::move(left), sign, operand());
    }
    return left;
  }
  ExpressionPtr sum() {
    return chain({"+", "-"}, [&] { return chain({"~"}, [&] { return product(); }); });
  }
  ExpressionPtr product() {
    return chain({"*", "/", "//", "%"},
                 [&] { return chain({"**"}, [&] { return signed_value(); }); });
  }
  // A sign binds stronger than filters and tests, less than members and calls.
  ExpressionPtr signed_value() { return filtered(unfiltered()); }
  ExpressionPtr unfiltered() {
    const Deeper deeper(*this);
    if (is("-") || is("+")) {
      auto node = make(Expression::unary, now().line, take().text);
      node->kids.push_back(unfiltered());
      return node;
    }
    return members(primary());
  }

  // .name, [item], (arguments), as often as they follow
  ExpressionPtr members(ExpressionPtr value) {
    for (;;) {
      const int line = now().line;
      if (accept(".")) {
        auto node = make(Expression::attribute, line, identifier());
        node->kids.push_back(std::move(value));
        value = std::move(node);
      } else if (accept("[")) {
        value = item(std::move(value), line);
      } else if (accept("(")) {
        auto node = make(Expression::call, line);
        node->kids.push_back(std::move(value));
        arguments(*node);
        value = std::move(node);
      } else {
        return value;
      }
    }
  }

  // | filter, is test, as often as they follow
  ExpressionPtr filtered(ExpressionPtr value) {
    for (;;) {
      const int line = now().line;
      if (accept("|")) {
        auto node = make(Expression::filter, line, identifier());
        node->kids.push_back(std::move(value));
        if (accept("(")) arguments(*node);
        value = std::move(node);
      } else if (accept("is", Lexeme::word)) {
        const bool inverse = accept("not", Lexeme::word);
        auto node = make(Expression::test, line, identifier());
        node->kids.push_back(std::move(value));
        if (accept("(")) {
          arguments(*node);
        } else if (begins_operand()) {
          node->kids.push_back(members(primary()));
        }
        value = inverse ? negated(std::move(node)) : std::move(node);
      } else {
        return value;
      }
    }
  }
  [[nodiscard]] bool begins_operand() const {
    if (now().kind == Lexeme::string || now().kind == Lexeme::number || is("[") || is("{")) {
      return true;
    }
    if (now().kind != Lexeme::word) return false;
    for (const std::string_view other : {"else", "or", "and", "if", "in", "not", "is"}) {
      if (now().text == other) return false;
    }
    return true;
  }

  ExpressionPtr item(ExpressionPtr value, int line) {
    std::array<ExpressionPtr, 3> parts;
    std::size_t count = 0;
    bool slice = false;
    while (!is("]") && count < parts.size()) {
      if (accept(":")) {
        slice = true;
        ++count;
        continue;
      }
      if (parts[count]) fail(name_, line, "unknown '" + now().text + "' in an index");
      parts[count] = expression();
    }
    expect("]");
    auto node = make(slice ? Expression::slice : Expression::item, line);
    node->kids.push_back(std::move(value));
    if (!slice && !parts[0]) fail(name_, line, "an index is missing");
    for (ExpressionPtr& part : parts) {
      if (slice || part) node->kids.push_back(std::move(part));
    }
    return node;
  }

  void arguments(ExpressionNode& node) {
    while (!accept(")")) {
      if (now().kind == Lexeme::word && tokens_[at_ + 1].text == "=" &&
          tokens_[at_ + 1].kind == Lexeme::sign) {
        const std::string key = take().text;
        (void)take();
        node.named.emplace_back(key, expression());
      } else {
        node.kids.push_back(expression());
      }
      if (!is(")")) expect(",");
    }
  }

  ExpressionPtr primary() {
    const Token token = take();
    auto literal = make(Expression::literal, token.line);
    switch (token.kind) {
      case Lexeme::string:
        literal->value = token.text;
        while (now().kind == Lexeme::string) {
          literal->value = literal->value.get<std::string>() + take().text;
        }
        return literal;
      case Lexeme::number: return number(token, std::move(literal));
      case Lexeme::word:
        if (token.text == "true" || token.text == "True") {
          literal->value = true;
        } else if (token.text == "false" || token.text == "False") {
          literal->value = false;
        } else if (token.text == "none" || token.text == "None") {
          literal->value = nullptr;
        } else {
          return make(Expression::name, token.line, token.text);
        }
        return literal;
      case Lexeme::sign:
        if (token.text == "(") return grouped(token.line);
        if (token.text == "[") return sequence("]", token.line);
        if (token.text == "{") return dictionary(token.line);
        break;
      default: break;
    }
    fail(name_, token.line, "a value is missing before '" + token.text + "'");
  }

  ExpressionPtr number(const Token& token, ExpressionPtr literal) {
    const char* const end = token.text.data() + token.text.size();
    long long whole = 0;
    double real = 0;
    const auto read = std::from_chars(token.text.data(), end, whole);
    if (read.ptr == end && read.ec != std::errc())
      fail(name_, token.line, "a number beyond 64 bits");
    if (read.ptr == end) {
      literal->value = whole;
    } else if (std::from_chars(token.text.data(), end, real).ptr == end) {
      literal->value = real;
    } else {
      fail(name_, token.line, "unknown number '" + token.text + "'");
    }
    return literal;
  }

  ExpressionPtr grouped(int line) {
    if (is(")")) return sequence(")", line);
    ExpressionPtr inside = expression();
    if (accept(")")) return inside;
    expect(",");
    ExpressionPtr tuple = sequence(")", line);
    tuple->kids.insert(tuple->kids.begin(), std::move(inside));
    return tuple;
  }

  ExpressionPtr sequence(std::string_view close, int line) {
    auto node = make(Expression::list, line);
    while (!accept(close)) {
      node->kids.push_back(expression());
      if (!is(close)) expect(",");
    }
    return node;
  }

  ExpressionPtr dictionary(int line) {
    auto node = make(Expression::dict, line);
    while (!accept("}")) {
      node->kids.push_back(expression());
      expect(":");
      node->kids.push_back(expression());
      if (!is("}")) expect(",");
    }
    return node;
  }

  const std::string& name_;
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int depth_ = 0, parts_ = 0, loops_ = 0;
};

}  // namespace

Block parse(std::string_view source, const std::string& name) {
  return Parser(source, name).parse();
}

}  // namespace attn::models::jinja
