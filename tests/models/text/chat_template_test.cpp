// Chat templates against what jinja2 makes of them (tests/data/chat/make.py).

#include "models/text/chat_template.hpp"

#include "support/files.hpp"
#include "support/references.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace attn;
using models::ChatTemplate;
using test::require_error;

namespace {

const std::map<std::string, std::string> tokens{{"bos_token", "<s>"}, {"eos_token", "</s>"}};

std::vector<ChatMessage> messages_of(const test::Json& list) {
  std::vector<ChatMessage> messages;
  for (const test::Json& each : list) {
    messages.push_back({each["role"].get<std::string>(), each["content"].get<std::string>()});
  }
  return messages;
}

std::string render(const std::string& source) {
  const std::vector<ChatMessage> hello{{"user", "hello"}};
  return ChatTemplate(source, "x").render(hello, true, tokens);
}

}  // namespace

TEST_CASE("chat templates and expressions give what jinja2 gives", "[chat]") {
  for (const test::Json& each : test::data_json("chat/cases.json")) {
    const auto source = each["template"].get<std::string>();
    INFO(each["name"].get<std::string>() << ": " << source);
    const ChatTemplate chat(source, "x");
    const std::vector<ChatMessage> messages = messages_of(each["messages"]);
    const bool prompt = each["prompt"].get<bool>();
    if (each.contains("text")) {
      CHECK(chat.render(messages, prompt, tokens) == each["text"].get<std::string>());
    } else {
      require_error(ErrorKind::invalid, {"chat template of x", each["raises"].get<std::string>()},
                    [&] { (void)chat.render(messages, prompt, tokens); });
    }
  }
}

TEST_CASE("what a chat template asks for and is not known is named, with its line", "[chat]") {
  const auto refuses = [](const std::string& source,
                          std::initializer_list<std::string_view> parts) {
    require_error(ErrorKind::invalid, parts, [&] { (void)render(source); });
  };
  refuses("a\n{{ x | frobnicate }}", {"chat template of x", "line 2", "filter 'frobnicate'"});
  refuses("{{ 1 is frobbed }}", {"test 'frobbed'"});
  refuses("{{ frob() }}", {"function 'frob'"});
  refuses("{{ 'a'.frob() }}", {"method 'frob'"});
  refuses("{% include 'x' %}", {"statement 'include'"});
  refuses("{{ strftime_now('%Y') }}", {"strftime_now"});
  refuses("{{ missing.part }}", {"'missing' is undefined"});
  refuses("{{ 1 / 0 }}", {"division by 0"});
  refuses("{{ 1 + 'a' }}", {"'+'"});
  refuses("{{ 9223372036854775807 + 1 }}", {"64 bits"});
  refuses("{% if true %}", {"does not end"});
  refuses("{{ 'a", {"does not end"});
  refuses("{{ 1 ", {"does not end"});
  refuses("{# a", {"does not end"});
  refuses("{{ }}", {"a value is missing"});
  refuses("{{ 1 2 }}", {"unknown '2'"});
  refuses("{{ $ }}", {"unknown sign"});
  refuses("{% set a.b = 1 %}", {"no namespace"});
  refuses("{% for i in 3 %}{% endfor %}", {"no elements"});
  refuses("{{ 99999999999999999999 }}", {"64 bits"});
  refuses("{{ -(-9223372036854775807 - 1) }}", {"64 bits"});
  refuses("{{ 'x'|float|int + 1e300|int }}", {"64 bits"});
  refuses("{{ (-1) ** 0.5 }}", {"no real number"});
  refuses("{{ 'a'|first.b }}", {"unknown '.'"});
  refuses("{{ [1, 2][0 1] }}", {"unknown '1'"});
  refuses("{{ {1: 2} }}", {"key is no string"});
  refuses("{{ {'a': 1}[1:] }}", {"no order"});
  refuses("{{ 'é'|upper }}", {"beyond ASCII"});
  refuses("{{ x.strip() }}", {"'x' is undefined"});
  refuses("{{ x|tojson }}", {"undefined"});
  refuses("{{ 1|tojson(sort_keys=true) }}", {"tojson", "sort_keys"});
  refuses("{{ 1|tojson(indent=1000000000) }}", {"indent", "0..16"});
  refuses("{{ 'a'|replace('a', 'b', 1, 2) }}", {"replace", "too many"});
  refuses("{{ 'a'.strip('a', 'b') }}", {"strip", "too many"});
  refuses("{{ ' '.join([1]) }}", {"no string"});
  refuses("{{ messages|selectattr('a.b')|list }}", {"selectattr"});
  refuses("{{ 1 is in }}", {"test 'in'"});
  refuses("{{ namespace(1) }}", {"namespace"});
  refuses("{% break %}", {"'break' outside a loop"});
  refuses("{% for i in [1] %}{% macro f() %}{% continue %}{% endmacro %}{% endfor %}",
          {"'continue' outside a loop"});
  refuses("{% for i in [1] %}{% macro f() %}{% endmacro %}{% endfor %}", {"macro within a loop"});
  refuses("{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}", {"f: too many"});
  refuses("{% macro f(a) %}{% endmacro %}{{ f(b=2) }}", {"f: unknown argument 'b'"});
}

TEST_CASE("what a chat template raises is told in one line", "[chat][damage]") {
  for (const char* source :
       {"{{ raise_exception('a\nb\ac') }}", "{{ x 'c\nd' }}", "{{ '\\\n' }}", "{{ \x01 }}"}) {
    require_error(ErrorKind::invalid, {"chat template of x"}, [&] { (void)render(source); });
  }
}

TEST_CASE("characters of a text by their number, from both ends", "[chat]") {
  CHECK(render("{% set t = 'a\u20acb' %}{{ t[0] ~ t[1] ~ t[-1] ~ t[-3] }}") == "a\u20acba");
  CHECK(render("{% set t = 'a\u20acb' %}{{ t[3] }}{{ t[-4] }}{{ ''[0] }}{{ ''[-1] }}|") == "|");
  CHECK(render("{{ 'a\u20acb'|first ~ '\u20ac'|last }}") == "a\u20ac");
  CHECK(render(
            "{% set t = 'a\u20acbc' %}{{ t[1:] ~ '|' ~ t[:-1] ~ '|' ~ t[::-1] ~ '|' ~ t[::2] }}") ==
        "\u20acbc|a\u20acb|cb\u20aca|ab");
}

TEST_CASE("a hostile chat template ends soon", "[chat][damage]") {
  const auto ends = [](const std::string& source) { CHECK_THROWS_AS(render(source), Error); };
  ends("{% for i in range(1000000000) %}{% endfor %}");
  ends("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}");
  ends("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}");
  ends("{{ 'x' * 400000000000 }}");
  ends(
      "{% set ns = namespace(t='xxxxxxxxxxxxxxxx') %}{% for i in range(60) %}{% set ns.t = ns.t + "
      "ns.t %}"
      "{{ ns.t }}{% endfor %}");
  ends("{{ " + std::string(100000, '(') + "1" + std::string(100000, ')') + " }}");
  ends("{{ " + std::string(100000, '-') + "1 }}");
  ends(
      "{% set ns = namespace(t='xxxxxxxxxxxxxxxx') %}{% for i in range(60) %}"
      "{% set ns.t = ns.t + ns.t %}{% endfor %}");
  ends(
      "{% set ns = namespace(t=[1, 2]) %}{% for i in range(60) %}"
      "{% set ns.t = ns.t + ns.t %}{% endfor %}");
  ends("{% set t = 'x' * 16000000 %}{{ t|replace('x', t) }}");
  // much work, or much memory, in few steps
  ends("{% for i in range(100000) %}{% if 'x' * 16000000 %}{% endif %}{% endfor %}");
  ends(
      "{% macro f() %}{% endmacro %}{{ 'x' * 16000000 }}{% for i in range(100000) %}{{ f() ~ "
      "('x' * 8000) }}{% endfor %}");
  ends(
      "{% set t = 'a' * 8000000 %}{% for i in range(100) %}{{ (t + 'b') in (t + t) }}{% endfor %}");
  ends("{{ range(200000)|map('default', 'x' * 16000000)|list|length }}");
  ends("{{ range(2000)|map(attribute='a', default='x' * 16000000)|list|length }}");
  ends("{{ ('x' * 16000000).split('x')|length }}");
  std::string nested = "range(500000)|list";
  for (int i = 0; i < 50; ++i) nested = "[" + nested + "]";
  ends("{{ " + nested + "|tojson(indent=16) }}");
  ends("{% set t = 'x' * 4000000 %}{{ t.split('x')|join(t) }}");
  ends("{% set t = 'x' * 16000000 %}{% for i in range(1000000) %}{% set u = t %}{% endfor %}");
  // values, expressions and macros so deep that the stack would not hold them
  ends(
      "{% set ns = namespace(x=1) %}{% for i in range(1000000) %}{% set ns.x = [ns.x] %}"
      "{% endfor %}");
  ends("{% set ns = namespace(x=1) %}{% for i in range(1000000) %}{% set ns.x = ns %}{% endfor %}");
  const auto many = [](const std::string& part, int times) {
    std::string text;
    for (int i = 0; i < times; ++i) text += part;
    return text;
  };
  for (const char* part : {" + 1", " ** 1", " and 1", "|trim", ".a", "[0]", "()", " is odd",
                           " if 1", " == 1 is odd | trim"}) {
    for (const int times : {4000, 300000}) ends("{{ 1" + many(part, times) + " }}");
  }
  ends("{% macro f() %}{{ " + many("[", 150) + "f()" + many("]", 150) +
       " }}{% endmacro %}{{ f() }}");
  CHECK(render("{{ [1, 2, 3][1::9223372036854775807] }}") == "[2]");
  CHECK(render("{{ [1, 2, 3][::-9223372036854775807] }}") == "[3]");
  CHECK(render("{{ range(1, 9, 9223372036854775807) | list }}") == "[1]");
  CHECK(render("{{ 9223372036854775806 % 9223372036854775807 }}") == "9223372036854775806");
  std::string ifs;
  for (int i = 0; i < 50000; ++i) ifs += "{% if true %}";
  ends(ifs);
}

TEST_CASE("a damaged chat template is rendered or refused", "[chat][damage]") {
  std::mt19937 bits(5);
  for (const test::Json& each : test::data_json("chat/cases.json")) {
    const auto source = each["template"].get<std::string>();
    const std::vector<ChatMessage> messages = messages_of(each["messages"]);
    for (int i = 0; i < 60; ++i) {
      std::string damaged = source;
      const std::size_t at = bits() % damaged.size();
      switch (bits() % 3) {
        case 0: damaged[at] = static_cast<char>(bits()); break;
        case 1: damaged.erase(at, bits() % 8); break;
        default: damaged.insert(at, source.substr(bits() % source.size(), bits() % 20)); break;
      }
      try {
        (void)ChatTemplate(damaged, "x").render(messages, true, tokens);
      } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::invalid);
      }
    }
  }
}
