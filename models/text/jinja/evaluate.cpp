#include "models/text/jinja/syntax.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace attn::models::jinja {
namespace {

// What a template may cost: far more than any conversation needs, little enough to answer soon.
constexpr int most_steps = 1'000'000, most_calls = 100;
// of what values that are made or copied take: each 16 bytes of text, and an element as much as
// eight of those
constexpr std::size_t most_copied = 20'000'000, text_unit = 16, element_units = 8;
// of evaluations and statements one in another, and of values one in another: what the stack holds
constexpr int most_nested = 400, most_levels = 100;

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
    if (output_.size() > most_text) fail(name_, line, "its text is too long");
  }

  // Counts how deep one is inside another.
  struct Deeper {
    Deeper(Evaluator& evaluator, int line) : evaluator_(evaluator) {
      if (++evaluator_.nested_ > most_nested) {
        fail(evaluator_.name_, line, "nested too deeply");
      }
    }
    Deeper(const Deeper&) = delete;
    Deeper& operator=(const Deeper&) = delete;
    ~Deeper() { --evaluator_.nested_; }
    Evaluator& evaluator_;
  };

  // A value is about to be copied: that takes time by its size, and stack by its levels.
  const Value& copied(const Value& value, int line, int level = 0) {
    if (level > most_levels) fail(name_, line, "values within values too deeply");
    charge(element_units, line);
    if (value.is_string()) charge(text_units(value), line);
    if (value.is_structured()) {
      for (const Value& each : value) (void)copied(each, line, level + 1);
    }
    return value;
  }

  static std::size_t text_units(const Value& text) {
    return text.get_ref<const std::string&>().size() / text_unit;
  }

  void charge(std::size_t units, int line) {
    copied_ += std::min(units, most_copied);
    if (copied_ > most_copied) fail(name_, line, "it takes too many steps: it may not end");
  }

  // These filters do with each element what they were given.
  void charge_each(const ExpressionNode& e, const Value& value, const Arguments& given) {
    const std::string& filter = e.text;
    if (filter != "map" && !filter.starts_with("select") && !filter.starts_with("reject")) return;
    std::size_t units = 0;
    const auto add = [&](const Value& argument) {
      if (argument.is_string()) units += text_units(argument);
      if (argument.is_structured()) units += argument.size() * element_units;
    };
    for (const Value& argument : given.plain) add(argument);
    for (const auto& [name, argument] : given.named) add(argument);
    const std::size_t count = value.is_string()       ? value.get_ref<const std::string&>().size()
                              : value.is_structured() ? value.size()
                                                      : 1;
    charge(units > 0 && count > most_copied / units ? most_copied : units * count, e.line);
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
    const Deeper deeper(*this, s.line);
    switch (s.kind) {
      case Statement::text: output_ += s.text; return Flow::on;
      case Statement::output: output_ += shown(evaluate(*s.expression)); return Flow::on;
      case Statement::branch: return execute(truth(evaluate(*s.expression)) ? s.body : s.otherwise);
      case Statement::loop: return loop(s);
      case Statement::set: set(s); return Flow::on;
      case Statement::macro:
        // it would see the variables around it
        if (scopes_.size() > 1) fail(name_, s.line, "unknown: a macro within a loop or a macro");
        macros_[s.text] = &s;
        return Flow::on;
      case Statement::stop: return Flow::stop;
      case Statement::skip: return Flow::skip;
    }
    return Flow::on;
  }

  void bind(const StatementNode& s, const Value& value) {
    (void)copied(value, s.line);
    if (s.names.size() == 1) {
      scopes_.back()[s.names[0]] = value;
      return;
    }
    if (!value.is_array() || value.size() != s.names.size()) {
      fail(name_, s.line, std::to_string(s.names.size()) + " names for other values");
    }
    for (std::size_t i = 0; i < s.names.size(); ++i) scopes_.back()[s.names[i]] = value[i];
  }

  Flow loop(const StatementNode& s) {
    const Value whole = evaluate(*s.expression);
    Value all = at_line(s.line, [&] { return elements(whole); });
    (void)copied(all, s.line);
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
      state["depth"] = 1;
      state["depth0"] = 0;
      if (i > 0) state["previtem"] = copied(all[at - 1], s.line);
      if (i + 1 < count) state["nextitem"] = copied(all[at + 1], s.line);
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
      std::string before = std::exchange(output_, {});
      scopes_.emplace_back();
      (void)execute(s.body);
      scopes_.pop_back();
      value = std::exchange(output_, std::move(before));
    }
    if (s.text.empty()) return bind(s, value);
    // a namespace outlives the loop that changes it
    for (std::size_t i = scopes_.size(); i-- > 0;) {
      const auto found = scopes_[i].find(s.text);
      if (found == scopes_[i].end()) continue;
      if (!found->second.is_object()) break;
      found->second[s.names[0]] = std::move(value);
      (void)copied(found->second, s.line);
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

  // The value that a name or a member of one stands for; null for anything else.
  const Value* look(const ExpressionNode& e) {
    if (e.kind == Expression::name) return find(e.text);
    if (e.kind != Expression::attribute && e.kind != Expression::item) return nullptr;
    const Deeper deeper(*this, e.line);
    const Value* const object = look(*e.kids[0]);
    if (object == nullptr) return nullptr;
    const Value key = e.kind == Expression::attribute ? Value(e.text) : evaluate(*e.kids[1]);
    if (object->is_object() && key.is_string()) {
      const auto found = object->find(key.get_ref<const std::string&>());
      return found == object->end() ? nullptr : &*found;
    }
    if (!object->is_array() || !key.is_number_integer()) return nullptr;
    const auto size = static_cast<long long>(object->size());
    const long long at = key.get<long long>();
    if (at < -size || at >= size) return nullptr;
    return &(*object)[static_cast<std::size_t>(at < 0 ? at + size : at)];
  }

  Value evaluate(const ExpressionNode& e) {
    step(e.line);
    const Deeper deeper(*this, e.line);
    if (const Value* const found = look(e)) return copied(*found, e.line);
    switch (e.kind) {
      case Expression::literal: return copied(e.value, e.line);
      case Expression::name: return undefined();
      case Expression::attribute: return member(evaluate(*e.kids[0]), Value(e.text), e);
      case Expression::item: return member(evaluate(*e.kids[0]), evaluate(*e.kids[1]), e);
      case Expression::slice: return slice(e);
      case Expression::call: return call(e);
      case Expression::filter: {
        const Value value = evaluate(*e.kids[0]);
        const Arguments given = arguments(e);
        charge_each(e, value, given);
        Value result = at_line(e.line, [&] { return apply_filter(e.text, value, given); });
        (void)copied(result, e.line);
        return result;
      }
      case Expression::test: {
        const Value value = evaluate(*e.kids[0]);
        const Arguments given = arguments(e);
        return Value(at_line(e.line, [&] { return apply_test(e.text, value, given); }));
      }
      case Expression::unary: return unary(e);
      case Expression::binary: {
        Value result = binary(e);
        (void)copied(result, e.line);
        return result;
      }
      case Expression::comparison: return comparison(e);
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
          const Value key = evaluate(*e.kids[i]);
          if (!key.is_string()) fail(name_, e.line, "a dict whose key is no string");
          dict[key.get<std::string>()] = evaluate(*e.kids[i + 1]);
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
    if (key.is_number_integer() && object.is_string()) {
      return character_of(object.get_ref<const std::string&>(), key.get<long long>());
    }
    if (key.is_number_integer() && object.is_array()) {
      const auto size = static_cast<long long>(object.size());
      const long long at = key.get<long long>();
      if (at < -size || at >= size) return undefined();
      return object[static_cast<std::size_t>(at < 0 ? at + size : at)];
    }
    return undefined();
  }

  Value slice(const ExpressionNode& e) {
    const Value object = evaluate(*e.kids[0]);
    const auto bound = [&](std::size_t kid) -> std::optional<long long> {
      if (kid >= e.kids.size() || !e.kids[kid]) return {};
      const Value value = evaluate(*e.kids[kid]);
      if (value.is_null()) return {};
      if (!value.is_number_integer()) fail(name_, e.line, "a slice by no whole number");
      return value.get<long long>();
    };
    const auto first = bound(1), last = bound(2), step = bound(3);
    return at_line(e.line, [&] { return sliced(object, first, last, step.value_or(1)); });
  }

  Value call(const ExpressionNode& e) {
    const ExpressionNode& function = *e.kids[0];
    const Arguments given = arguments(e);
    if (function.kind == Expression::attribute) {
      const Value object = evaluate(*function.kids[0]);
      if (object.is_discarded()) {
        fail(name_, e.line, "'" + function.kids[0]->text + "' is undefined");
      }
      Value result = at_line(e.line, [&] { return call_method(object, function.text, given); });
      (void)copied(result, e.line);
      return result;
    }
    if (function.kind != Expression::name) fail(name_, e.line, "a call of what is no function");
    const auto macro = macros_.find(function.text);
    if (macro != macros_.end()) return call_macro(*macro->second, given, e.line);
    if (function.text == "raise_exception") {
      fail(name_, e.line, "it says: " + shown(given.get(0, "message")));
    }
    if (function.text == "namespace" || function.text == "dict") {
      if (!given.plain.empty()) fail(name_, e.line, function.text + ": unknown: unnamed arguments");
      Value space = Value::object();
      for (const auto& [key, value] : given.named) space[key] = value;
      return space;
    }
    if (function.text == "range") return range(given, e.line);
    fail(name_, e.line, "unknown function '" + function.text + "'");
  }

  Value range(const Arguments& given, int line) {
    if (!given.named.empty()) fail(name_, line, "range: unknown: named arguments");
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
    for (long long i = bounds[0]; by > 0 ? i < bounds[1] : i > bounds[1];) {
      step(line);
      all.push_back(i);
      if (__builtin_add_overflow(i, by, &i)) break;
    }
    return all;
  }

  Value call_macro(const StatementNode& macro, const Arguments& given, int line) {
    if (++calls_ > most_calls) fail(name_, line, "macros call each other too deeply");
    at_line(line, [&] { check(macro, given); });
    // it sees the variables of the template, not those of loops around the call
    std::vector<std::map<std::string, Value>> around;
    while (scopes_.size() > 1) {
      around.push_back(std::move(scopes_.back()));
      scopes_.pop_back();
    }
    std::map<std::string, Value> scope;
    for (std::size_t i = 0; i < macro.names.size(); ++i) {
      Value value = given.get(i, macro.names[i]);
      if (value.is_discarded() && macro.defaults[i]) value = evaluate(*macro.defaults[i]);
      scope[macro.names[i]] = copied(value, line);
    }
    scopes_.push_back(std::move(scope));
    std::string before = std::exchange(output_, {});
    (void)execute(macro.body);
    std::string text = std::exchange(output_, std::move(before));
    scopes_.pop_back();
    for (; !around.empty(); around.pop_back()) scopes_.push_back(std::move(around.back()));
    --calls_;
    return Value(std::move(text));
  }

  static void check(const StatementNode& macro, const Arguments& given) {
    if (given.plain.size() > macro.names.size()) throw macro.text + ": too many arguments";
    for (const auto& [key, value] : given.named) {
      if (std::find(macro.names.begin(), macro.names.end(), key) == macro.names.end()) {
        throw macro.text + ": unknown argument '" + key + "'";
      }
    }
  }

  Value unary(const ExpressionNode& e) {
    const Value value = evaluate(*e.kids[0]);
    if (e.text == "not") return Value(!truth(value));
    if (!value.is_number()) fail(name_, e.line, "a sign before what is no number");
    if (e.text == "+") return value;
    if (value.is_number_float()) return Value(-value.get<double>());
    return at_line(e.line, [&] { return operate("-", Value(0), value); });
  }

  Value binary(const ExpressionNode& e) {
    const Value left = evaluate(*e.kids[0]);
    if (e.text == "and") return truth(left) ? evaluate(*e.kids[1]) : left;
    if (e.text == "or") return truth(left) ? left : evaluate(*e.kids[1]);
    const Value right = evaluate(*e.kids[1]);
    return at_line(e.line, [&] { return operate(e.text, left, right); });
  }

  // a < b < c: both hold
  Value comparison(const ExpressionNode& e) {
    Value left = evaluate(*e.kids[0]);
    for (std::size_t i = 0; i < e.signs.size(); ++i) {
      Value right = evaluate(*e.kids[i + 1]);
      if (!truth(at_line(e.line, [&] { return operate(e.signs[i], left, right); }))) {
        return Value(false);
      }
      left = std::move(right);
    }
    return Value(true);
  }

  const std::string& name_;
  std::vector<std::map<std::string, Value>> scopes_;
  std::map<std::string, const StatementNode*> macros_;
  std::string output_;
  std::size_t copied_ = 0;
  int steps_ = 0, calls_ = 0, nested_ = 0;
};

}  // namespace

std::string render(const Block& block, const Value& variables, const std::string& name) {
  return Evaluator(variables, name).run(block);
}

}  // namespace attn::models::jinja
