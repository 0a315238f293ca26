#include "runtime/formats/json.hpp"

#include "support/files.hpp"

#include <string>
#include <vector>

using attn::ErrorKind;
using namespace attn::runtime;
using namespace attn::test;

TEST_CASE("a JSON text becomes its values", "[formats][json]") {
  const Json json =
      parse_json(R"( {"a": [1, -2, 2.5, true, null, "ü\n"], "b": {"c": {}, "d": []}} )", "t");
  REQUIRE(json["a"] == Json::array({1, -2, 2.5, true, nullptr, "ü\n"}));
  REQUIRE(json["b"]["c"] == Json::object());
  REQUIRE(json["b"]["d"] == Json::array());
  REQUIRE(parse_json("7", "t") == 7);
  // the same key in different objects is no repetition
  REQUIRE(parse_json(R"([{"a":{"a":1}},{"a":2}])", "t")[1]["a"] == 2);
}

TEST_CASE("what is not JSON is refused", "[formats][json]") {
  using namespace std::string_view_literals;
  const std::vector<std::string_view> texts = {
      ""sv,
      " "sv,
      "{"sv,
      "{]"sv,
      "[1,]"sv,
      "[1] x"sv,
      "{\"a\"}"sv,
      "{a:1}"sv,
      "'a'"sv,
      "NaN"sv,
      "[Infinity]"sv,
      "01"sv,
      "+1"sv,
      ".5"sv,
      "1."sv,
      "0x10"sv,
      "1e999"sv,
      "/**/1"sv,
      "1//"sv,
      "nul"sv,
      "\"\n\""sv,
      "\"\\x\""sv,
      "[1]\0"sv,
      "\"a\0b\""sv,
      "\xEF\xBB\xBF[]"sv,
      "\"\xFF\""sv,
      "\"\xC3\""sv,
      "\"\xC0\x80\""sv,
      "\"\xED\xA0\x80\""sv,
      "\"\\uD800\""sv,
      "\"\\uDC00\""sv,
      "\"\xF4\x90\x80\x80\""sv,
      "[\"\xE2\x82\"]"sv,
  };
  for (const std::string_view text : texts) {
    CAPTURE(std::string(text));
    require_error(ErrorKind::invalid, {"file.json", "not valid JSON"},
                  [&] { (void)parse_json(text, "file.json"); });
  }
  require_error(ErrorKind::invalid, {"byte 5"}, [] { (void)parse_json("[1, x]", "t"); });
}

TEST_CASE("every prefix of a JSON document is refused", "[formats][json]") {
  const std::string text = R"({"a":[1.5e3,"x\u00e9",{"b":null}],"c":false})";
  REQUIRE(parse_json(text, "t").size() == 2);
  for (std::size_t n = 0; n < text.size(); ++n) {
    CAPTURE(n);
    REQUIRE_THROWS_AS(parse_json(text.substr(0, n), "t"), attn::Error);
  }
}

TEST_CASE("a repeated key is refused by name", "[formats][json]") {
  require_error(ErrorKind::invalid, {"\"weight\"", "twice"},
                [] { (void)parse_json(R"([{"weight":1,"x":2,"weight":1}])", "t"); });
  require_error(ErrorKind::invalid, {"\"a\"", "twice"},
                [] { (void)parse_json(R"({"a":{"b":1},"\u0061":2})", "t"); });
}

TEST_CASE("depth and number of values are limited", "[formats][json]") {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  REQUIRE_NOTHROW(parse_json(nested(64), "t"));
  require_error(ErrorKind::invalid, {"deeper than 64"}, [&] { (void)parse_json(nested(65), "t"); });
  require_error(ErrorKind::invalid, {"deeper than 64"},
                [] { (void)parse_json(std::string(1'000'000, '['), "t"); });
  std::string objects;
  for (int i = 0; i < 65; ++i) objects += R"({"a":)";
  require_error(ErrorKind::invalid, {"deeper than 64"}, [&] { (void)parse_json(objects, "t"); });

  REQUIRE_NOTHROW(parse_json("[1,2,3]", "t", {.depth = 1, .values = 4}));
  require_error(ErrorKind::invalid, {"more than 4 values"},
                [] { (void)parse_json("[1,2,3,4]", "t", {.depth = 1, .values = 4}); });
}

TEST_CASE("a size is a whole number from 0 to 2^53", "[formats][json]") {
  REQUIRE(json_size(parse_json("0", "t"), "f") == 0);
  REQUIRE(json_size(parse_json("9007199254740992", "t"), "f") == largest_json_integer);
  for (const char* text : {"-1", "-0", "1.0", "1e2", "9007199254740993", "18446744073709551616",
                           "\"1\"", "true", "null", "[1]", "{}"}) {
    CAPTURE(text);
    require_error(ErrorKind::invalid, {"heads", "from 0 to 9007199254740992"},
                  [&] { (void)json_size(parse_json(text, "t"), "heads"); });
  }
  require_error(ErrorKind::invalid, {"heads", "-17"}, [] { (void)json_size(Json(-17), "heads"); });
}

TEST_CASE("strings and members are taken with a name for the message", "[formats][json]") {
  const Json json = parse_json(R"({"a":"text","b":[1,2]})", "t");
  REQUIRE(json_string(json_member(json, "a", "t"), "t: a") == "text");
  require_error(ErrorKind::invalid, {"t: b", "string", "an array of 2"},
                [&] { (void)json_string(json["b"], "t: b"); });
  require_error(ErrorKind::invalid, {"t", "lacks \"c\""},
                [&] { (void)json_member(json, "c", "t"); });
  require_error(ErrorKind::invalid, {"t: a", "object", "\"text\""},
                [&] { (void)json_member(json["a"], "c", "t: a"); });
}

TEST_CASE("foreign text in messages is short and on one line", "[formats][json]") {
  require_error(ErrorKind::invalid, {"\\n\\u001b[31m", "…"},
                [] { (void)json_size(Json("\n\x1b[31m" + std::string(1000, 'x')), "f"); });
  require_error(ErrorKind::invalid, {"stands twice"}, [] {
    const std::string key = "\"" + std::string(79, 'x') + "ü\"";  // cut in the middle of ü
    (void)parse_json("{" + key + ":1," + key + ":1}", "t");
  });
}
