#pragma once

// The part of Jinja (https://jinja.palletsprojects.com/templates) that chat templates are written
// in.

#include "runtime/formats/json_values.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace attn::models::jinja {

/// What expressions give: JSON's values in the order they were made; `discarded` is Jinja's
/// undefined.
using Value = runtime::OrderedJson;

enum class Expression {
  literal,      ///< value
  name,         ///< text
  attribute,    ///< kids[0].text
  item,         ///< kids[0][kids[1]]
  slice,        ///< kids[0][kids[1]:kids[2]:kids[3]], null where absent
  call,         ///< kids[0](kids[1..], named…)
  filter,       ///< kids[0] | text(kids[1..], named…)
  test,         ///< kids[0] is text(kids[1..])
  unary,        ///< text: not, -, +
  binary,       ///< text: + - * / // % ** ~ and or
  comparison,   ///< kids[0] signs[0] kids[1] signs[1] …, each: == != < <= > >= in, not in
  conditional,  ///< kids[0] if kids[1] else kids[2]
  list,         ///< kids
  dict,         ///< keys and values by turns
};

struct ExpressionNode {
  Expression kind{};
  std::string text;
  Value value;
  std::vector<std::unique_ptr<ExpressionNode>> kids;
  std::vector<std::pair<std::string, std::unique_ptr<ExpressionNode>>> named;
  std::vector<std::string> signs;
  int line = 0;
};
using ExpressionPtr = std::unique_ptr<ExpressionNode>;

enum class Statement {
  text,    ///< text
  output,  ///< expression
  branch,  ///< if expression: body, else: otherwise (an elif is a branch in it)
  loop,    ///< for names in expression if condition: body, else: otherwise
  set,     ///< names = expression, or text.names[0] = expression, or = body
  macro,   ///< text(names with defaults): body
  stop,    ///< break
  skip,    ///< continue
};

struct StatementNode;
using Block = std::vector<std::unique_ptr<StatementNode>>;

struct StatementNode {
  Statement kind{};
  std::string text;
  std::vector<std::string> names;
  std::vector<ExpressionPtr> defaults;  // of a macro's parameters; null: none
  ExpressionPtr expression, condition;
  Block body, otherwise;
  int line = 0;
};

enum class Lexeme {
  text,
  begin_output,
  end_output,
  begin_block,
  end_block,
  word,
  number,
  string,
  sign,
  end
};

struct Token {
  Lexeme kind{};
  std::string text;
  int line = 1;
};

/// `name` stands in messages, here and below. Whitespace as trim_blocks and lstrip_blocks have it.
/// Throws Error(invalid) naming the line.
[[nodiscard]] std::vector<Token> scan(std::string_view source, const std::string& name);

/// Throws Error(invalid) naming the line and what is not understood.
[[nodiscard]] Block parse(std::string_view source, const std::string& name);

/// Runs a template with these variables. Throws Error(invalid) for what it raises, for what is not
/// known here, and for one that does not end.
[[nodiscard]] std::string render(const Block& block, const Value& variables,
                                 const std::string& name);

[[noreturn]] void fail(const std::string& name, int line, const std::string& problem);

/// Bytes of a text or of a value: far more than any conversation needs.
constexpr std::size_t most_text = std::size_t{1} << 24U;

// Values, in values.cpp.
[[nodiscard]] bool truth(const Value& value);
/// As str() shows it; quoted: as repr() does.
[[nodiscard]] std::string shown(const Value& value, bool quoted = false);
/// As json.dumps(ensure_ascii=False) writes it; indent < 0: on one line.
[[nodiscard]] std::string json_dumps(const Value& value, int indent, int depth = 0);
[[nodiscard]] inline Value undefined() { return Value(Value::value_t::discarded); }

struct Arguments {
  Value::array_t plain;
  std::vector<std::pair<std::string, Value>> named;
  /// The i-th or the named one; undefined where absent.
  [[nodiscard]] Value get(std::size_t i, std::string_view key) const;
  /// Throws std::string for more of them than these names, and for a name not among them.
  void check(const std::string& function, std::initializer_list<std::string_view> names) const;
};

// In operators.cpp. Each throws std::string naming what does not fit.
void check_length(std::size_t bytes);
/// Where `part` stands in the text from `at` on, npos if nowhere; in linear time.
[[nodiscard]] std::size_t find_text(std::string_view text, std::string_view part,
                                    std::size_t at = 0) noexcept;
/// The character of that number, from the end where it is negative; undefined if there is none.
[[nodiscard]] Value character_of(const std::string& text, long long number);
/// Whole characters, or bytes that are none.
[[nodiscard]] std::vector<std::string> characters(const std::string& text);
/// What a loop goes over: elements, keys, characters; of undefined nothing.
[[nodiscard]] Value elements(const Value& value);
[[nodiscard]] bool equal(const Value& a, const Value& b);
[[nodiscard]] bool contains(const Value& where, const Value& what);
[[nodiscard]] Value operate(const std::string& sign, const Value& a, const Value& b);
[[nodiscard]] Value sliced(const Value& object, const std::optional<long long>& first,
                           const std::optional<long long>& last, long long step);

// In builtins.cpp. Each throws std::string naming what is not known or does not fit.
[[nodiscard]] Value apply_filter(const std::string& filter, const Value& value,
                                 const Arguments& arguments);
[[nodiscard]] bool apply_test(const std::string& test, const Value& value,
                              const Arguments& arguments);
[[nodiscard]] Value call_method(const Value& object, const std::string& method,
                                const Arguments& arguments);

}  // namespace attn::models::jinja
