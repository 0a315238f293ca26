#include "models/text/jinja/syntax.hpp"

#include <algorithm>
#include <cmath>
#include <map>

namespace attn::models::jinja {
namespace {

// What a template may cost: far more than any conversation needs, little enough to answer soon.
constexpr int most_steps = 5'000'000, most_calls = 100;
constexpr std::size_t most_output = std::size_t{1} << 26;

enum class Flow { on, stop, skip };

class Evaluator {
 public:
  Evaluator(const Value& variables, const std::string& name) : name_(name) {
    scopes_.emplace_back();
    for (const auto& [key, value] : variables.items()) scopes_.back()[key] = value;
  }

  std::string run(const Block& block) {
    (void)execute(block);
    return std::move(output_);
  }

 private:
  void step(int line) {
    if (++steps_ > most_steps) fail(name_, line, "it takes too many steps: it may not end");
    if (output_.size() > most_output) fail(name_, line, "its text is too long");
  }

  // What a library function throws gets the line.
  template <class Body>
  auto at_line(int line, Body&& body) {
    try {
      return body();
    } catch (const std::string& problem) {
      fail(name_, line, problem);
    } catch (const Value::exception&) {
      fail(name_, line, "a value is of another type than is needed here");
    }
  }

  [[nodiscard]] const Value* find(const std::string& key) const {
    for (std::size_t i = scopes_.size(); i-- > 0;) {
      const auto found = scopes_[i].find(key);
      if (found != scopes_[i].end()) return &found->second;
    }
    return nullptr;
  }

  Flow execute(const Block& block) {
    for (const auto& statement : block) {
      step(statement->line);
      const Flow flow = execute(*statement);
      if (flow != Flow::on) return flow;
    }
    return Flow::on;
  }

  Flow execute(const StatementNode& s) {
    switch (s.kind) {
      case Statement::text: output_ += s.text; return Flow::on;
      case Statement::output: output_ += shown(evaluate(*s.expression)); return Flow::on;
      case Statement::branch: return execute(truth(evaluate(*s.expression)) ? s.body : s.otherwise);
      case Statement::loop: return loop(s);
      case Statement::set: set(s); return Flow::on;
      case Statement::macro: macros_[s.text] = &s; return Flow::on;
      case Statement::stop: return Flow::stop;
      case Statement::skip: return Flow::skip;
    }
    return Flow::on;
  }

  void bind(const StatementNode& s, const Value& value) {
    if (s.names.size() == 1) {
      scopes_.back()[s.names[0]] = value;
      return;
    }
    if (!value.is_array() || value.size() != s.names.size()) {
      fail(name_, s.line, std::to_string(s.names.size()) + " names for other values");
    }
    for (std::size_t i = 0; i < s.names.size(); ++i) scopes_.back()[s.names[i]] = value[i];
  }

  [[nodiscard]] Value elements(const Value& value, int line) const {
    if (value.is_array()) return value;
    Value out = Value::array();
    if (value.is_object()) {
      for (const auto& [key, each] : value.items()) out.push_back(key);
    } else if (value.is_string()) {
      const auto& text = value.get_ref<const std::string&>();
      for (std::size_t at = 0; at < text.size();) {
        std::size_t end = at + 1;
        while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) ++end;
        out.push_back(text.substr(at, end - at));
        at = end;
      }
    } else if (!value.is_discarded()) {
      fail(name_, line, "a loop over what has no elements");
    }
    return out;
  }

  Flow loop(const StatementNode& s) {
    Value all = elements(evaluate(*s.expression), s.line);
    scopes_.emplace_back();
    if (s.condition) {
      Value kept = Value::array();
      for (const Value& each : all) {
        bind(s, each);
        if (truth(evaluate(*s.condition))) kept.push_back(each);
      }
      all = std::move(kept);
    }
    const auto count = static_cast<long long>(all.size());
    for (long long i = 0; i < count; ++i) {
      const auto at = static_cast<std::size_t>(i);
      scopes_.back().clear();
      Value state = Value::object();
      state["index"] = i + 1;
      state["index0"] = i;
      state["revindex"] = count - i;
      state["revindex0"] = count - i - 1;
      state["first"] = i == 0;
      state["last"] = i + 1 == count;
      state["length"] = count;
      if (i > 0) state["previtem"] = all[at - 1];
      if (i + 1 < count) state["nextitem"] = all[at + 1];
      scopes_.back()["loop"] = std::move(state);
      bind(s, all[at]);
      step(s.line);
      if (execute(s.body) == Flow::stop) break;
    }
    scopes_.pop_back();
    return count == 0 ? execute(s.otherwise) : Flow::on;
  }

  void set(const StatementNode& s) {
    Value value;
    if (s.expression) {
      value = evaluate(*s.expression);
    } else {
      const std::string before = std::move(output_);
      output_.clear();
      (void)execute(s.body);
      value = std::move(output_);
      output_ = before;
    }
    if (s.text.empty()) return bind(s, value);
    // a namespace outlives the loop that changes it
    for (std::size_t i = scopes_.size(); i-- > 0;) {
      const auto found = scopes_[i].find(s.text);
      if (found == scopes_[i].end()) continue;
      if (!found->second.is_object()) break;
      found->second[s.names[0]] = std::move(value);
      return;
    }
    fail(name_, s.line, "'" + s.text + "' is no namespace");
  }

  Arguments arguments(const ExpressionNode& e) {
    Arguments all;
    for (std::size_t i = 1; i < e.kids.size(); ++i) all.plain.push_back(evaluate(*e.kids[i]));
    for (const auto& [key, value] : e.named) all.named.emplace_back(key, evaluate(*value));
    return all;
  }

  Value evaluate(const ExpressionNode& e) {
    step(e.line);
    switch (e.kind) {
      case Expression::literal: return e.value;
      case Expression::name: {
        const Value* const value = find(e.text);
        return value == nullptr ? undefined() : *value;
      }
      case Expression::attribute: return member(evaluate(*e.kids[0]), Value(e.text), e);
      case Expression::item: return member(evaluate(*e.kids[0]), evaluate(*e.kids[1]), e);
      case Expression::slice: return slice(e);
      case Expression::call: return call(e);
      case Expression::filter: {
        const Value value = evaluate(*e.kids[0]);
        const Arguments given = arguments(e);
        return at_line(e.line, [&] { return apply_filter(e.text, value, given); });
      }
      case Expression::test: {
        const Value value = evaluate(*e.kids[0]);
        const Arguments given = arguments(e);
        return Value(at_line(e.line, [&] { return apply_test(e.text, value, given); }));
      }
      case Expression::unary: return unary(e);
      case Expression::binary: return binary(e);
      case Expression::conditional:
        if (truth(evaluate(*e.kids[1]))) return evaluate(*e.kids[0]);
        return e.kids[2] ? evaluate(*e.kids[2]) : undefined();
      case Expression::list: {
        Value list = Value::array();
        for (const auto& kid : e.kids) list.push_back(evaluate(*kid));
        return list;
      }
      case Expression::dict: {
        Value dict = Value::object();
        for (std::size_t i = 0; i + 1 < e.kids.size(); i += 2) {
          dict[shown(evaluate(*e.kids[i]))] = evaluate(*e.kids[i + 1]);
        }
        return dict;
      }
    }
    return undefined();
  }

  Value member(const Value& object, const Value& key, const ExpressionNode& e) {
    if (object.is_discarded()) {
      fail(name_, e.line, "'" + e.kids[0]->text + "' is undefined");
    }
    if (object.is_object() && key.is_string()) {
      const auto found = object.find(key.get<std::string>());
      return found == object.end() ? undefined() : *found;
    }
    if (key.is_number_integer() && (object.is_array() || object.is_string())) {
      const Value all = elements(object, e.line);
      const auto size = static_cast<long long>(all.size());
      long long at = key.get<long long>();
      if (at < 0) at += size;
      return at < 0 || at >= size ? undefined() : all[static_cast<std::size_t>(at)];
    }
    return undefined();
  }

  Value slice(const ExpressionNode& e) {
    const Value object = evaluate(*e.kids[0]);
    const Value all = elements(object, e.line);
    const auto size = static_cast<long long>(all.size());
    const auto bound = [&](std::size_t kid, long long otherwise) {
      if (kid >= e.kids.size() || !e.kids[kid]) return otherwise;
      const Value value = evaluate(*e.kids[kid]);
      if (!value.is_number_integer()) fail(name_, e.line, "a slice by no whole number");
      return value.get<long long>();
    };
    const long long step = bound(3, 1);
    if (step == 0) fail(name_, e.line, "a slice by steps of 0");
    const auto place = [&](long long at, long long low, long long high) {
      return std::clamp(at < 0 ? at + size : at, low, high);
    };
    Value out = Value::array();
    constexpr long long absent = std::numeric_limits<long long>::min();
    const long long first = bound(1, absent), last = bound(2, absent);
    if (step > 0) {
      const long long end = last == absent ? size : place(last, 0, size);
      for (long long i = first == absent ? 0 : place(first, 0, size); i < end; i += step) {
        out.push_back(all[static_cast<std::size_t>(i)]);
      }
    } else {
      const long long end = last == absent ? -1 : place(last, -1, size - 1);
      for (long long i = first == absent ? size - 1 : place(first, -1, size - 1); i > end;
           i += step) {
        out.push_back(all[static_cast<std::size_t>(i)]);
      }
    }
    if (!object.is_string()) return out;
    std::string text;
    for (const Value& each : out) text += each.get<std::string>();
    return Value(text);
  }

  Value call(const ExpressionNode& e) {
    const ExpressionNode& function = *e.kids[0];
    const Arguments given = arguments(e);
    if (function.kind == Expression::attribute) {
      const Value object = evaluate(*function.kids[0]);
      return at_line(e.line, [&] { return call_method(object, function.text, given); });
    }
    if (function.kind != Expression::name) fail(name_, e.line, "a call of what is no function");
    const auto macro = macros_.find(function.text);
    if (macro != macros_.end()) return call_macro(*macro->second, given, e.line);
    if (function.text == "raise_exception") {
      fail(name_, e.line, "it says: " + shown(given.get(0, "message")));
    }
    if (function.text == "namespace" || function.text == "dict") {
      Value space = Value::object();
      for (const auto& [key, value] : given.named) space[key] = value;
      return space;
    }
    if (function.text == "range") return range(given, e.line);
    fail(name_, e.line, "unknown function '" + function.text + "'");
  }

  Value range(const Arguments& given, int line) {
    std::vector<long long> bounds;
    for (const Value& value : given.plain) {
      if (!value.is_number_integer()) fail(name_, line, "range: of no whole number");
      bounds.push_back(value.get<long long>());
    }
    if (bounds.empty() || bounds.size() > 3) fail(name_, line, "range: needs one to three numbers");
    if (bounds.size() == 1) bounds.insert(bounds.begin(), 0);
    const long long by = bounds.size() == 3 ? bounds[2] : 1;
    if (by == 0) fail(name_, line, "range: by 0");
    Value all = Value::array();
    for (long long i = bounds[0]; by > 0 ? i < bounds[1] : i > bounds[1]; i += by) {
      step(line);
      all.push_back(i);
    }
    return all;
  }

  Value call_macro(const StatementNode& macro, const Arguments& given, int line) {
    if (++calls_ > most_calls) fail(name_, line, "macros call each other too deeply");
    std::map<std::string, Value> scope;
    for (std::size_t i = 0; i < macro.names.size(); ++i) {
      Value value = given.get(i, macro.names[i]);
      if (value.is_discarded() && macro.defaults[i]) value = evaluate(*macro.defaults[i]);
      scope[macro.names[i]] = std::move(value);
    }
    scopes_.push_back(std::move(scope));
    const std::string before = std::move(output_);
    output_.clear();
    (void)execute(macro.body);
    std::string text = std::move(output_);
    output_ = before;
    scopes_.pop_back();
    --calls_;
    return Value(std::move(text));
  }

  Value unary(const ExpressionNode& e) {
    const Value value = evaluate(*e.kids[0]);
    if (e.text == "not") return Value(!truth(value));
    if (!value.is_number()) fail(name_, e.line, "a sign before what is no number");
    if (e.text == "+") return value;
    if (value.is_number_float()) return Value(-value.get<double>());
    return Value(-value.get<long long>());
  }

  Value binary(const ExpressionNode& e) {
    const Value left = evaluate(*e.kids[0]);
    if (e.text == "and") return truth(left) ? evaluate(*e.kids[1]) : left;
    if (e.text == "or") return truth(left) ? left : evaluate(*e.kids[1]);
    const Value right = evaluate(*e.kids[1]);
    if (e.text == "~") return Value(shown(left) + shown(right));
    if (e.text == "==") return Value(equal(left, right));
    if (e.text == "!=") return Value(!equal(left, right));
    if (e.text == "in") return Value(contains(right, left, e.line));
    if (e.text == "<" || e.text == ">" || e.text == "<=" || e.text == ">=") {
      return Value(compare(left, right, e));
    }
    return arithmetic(left, right, e);
  }

  static bool equal(const Value& a, const Value& b) {
    if (a.is_discarded() || b.is_discarded()) return a.is_discarded() && b.is_discarded();
    return a == b;
  }

  [[nodiscard]] bool contains(const Value& where, const Value& what, int line) const {
    if (where.is_array()) return std::find(where.begin(), where.end(), what) != where.end();
    if (where.is_object()) return what.is_string() && where.contains(what.get<std::string>());
    if (where.is_string() && what.is_string()) {
      return where.get_ref<const std::string&>().find(what.get_ref<const std::string&>()) !=
             std::string::npos;
    }
    fail(name_, line, "'in' what has no elements");
  }

  [[nodiscard]] bool compare(const Value& a, const Value& b, const ExpressionNode& e) const {
    const bool numbers = a.is_number() && b.is_number();
    if (!numbers && !(a.is_string() && b.is_string())) {
      fail(name_, e.line, "'" + e.text + "' between values of different types");
    }
    if (e.text == "<") return a < b;
    if (e.text == ">") return b < a;
    return e.text == "<=" ? !(b < a) : !(a < b);
  }

  Value arithmetic(const Value& a, const Value& b, const ExpressionNode& e) {
    if (e.text == "+" && a.is_string() && b.is_string()) {
      return Value(a.get<std::string>() + b.get<std::string>());
    }
    if (e.text == "+" && a.is_array() && b.is_array()) {
      Value both = a;
      for (const Value& each : b) both.push_back(each);
      return both;
    }
    if (e.text == "*" && a.is_string() && b.is_number_integer()) {
      std::string text;
      for (long long i = 0; i < b.get<long long>(); ++i) {
        text += a.get<std::string>();
        step(e.line);
        if (text.size() > most_output) fail(name_, e.line, "its text is too long");
      }
      return Value(text);
    }
    if (!a.is_number() || !b.is_number()) {
      fail(name_, e.line, "'" + e.text + "' between what it does not join");
    }
    if (a.is_number_float() || b.is_number_float() || e.text == "/" ||
        (e.text == "**" && b.get<long long>() < 0)) {
      return real(a.get<double>(), b.get<double>(), e);
    }
    return whole(a.get<long long>(), b.get<long long>(), e);
  }

  Value real(double x, double y, const ExpressionNode& e) const {
    if (y == 0 && (e.text == "/" || e.text == "//" || e.text == "%")) {
      fail(name_, e.line, "a division by 0");
    }
    if (e.text == "+") return Value(x + y);
    if (e.text == "-") return Value(x - y);
    if (e.text == "*") return Value(x * y);
    if (e.text == "/") return Value(x / y);
    if (e.text == "//") return Value(std::floor(x / y));
    if (e.text == "%") return Value(x - y * std::floor(x / y));
    return Value(std::pow(x, y));
  }

  Value whole(long long x, long long y, const ExpressionNode& e) const {
    long long result = 0;
    bool overflow = false;
    if (e.text == "+") overflow = __builtin_add_overflow(x, y, &result);
    if (e.text == "-") overflow = __builtin_sub_overflow(x, y, &result);
    if (e.text == "*") overflow = __builtin_mul_overflow(x, y, &result);
    if (e.text == "**") {
      result = 1;
      for (long long i = 0; i < y && !overflow && result != 0; ++i) {
        overflow = __builtin_mul_overflow(result, x, &result);
        if (x == 1 || (x == -1 && i > 1)) break;  // no number of steps changes it but its sign
      }
      if (x == -1) result = y % 2 == 0 ? 1 : -1;
    }
    if (e.text == "//" || e.text == "%") {
      if (y == 0) fail(name_, e.line, "a division by 0");
      overflow = y == -1 && x == std::numeric_limits<long long>::min();
      if (!overflow) {  // towards minus infinity, as Python divides
        const long long rest = (x % y + y) % y;
        result = e.text == "%" ? rest : (x - rest) / y;
      }
    }
    if (overflow) fail(name_, e.line, "a number beyond 64 bits");
    return Value(result);
  }

  const std::string& name_;
  std::vector<std::map<std::string, Value>> scopes_;
  std::map<std::string, const StatementNode*> macros_;
  std::string output_;
  int steps_ = 0, calls_ = 0;
};

}  // namespace

std::string render(const Block& block, const Value& variables, const std::string& name) {
  return Evaluator(variables, name).run(block);
}

}  // namespace attn::models::jinja
