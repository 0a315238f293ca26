// What the tools print: JSON numbers, tables, the ranking; and how they take options.

#include "tools/draw/text.hpp"

#include "attn/error.hpp"
#include "tools/common/json.hpp"
#include "tools/common/output.hpp"
#include "tools/common/table.hpp"
#include "tools/common/tool.hpp"
#include "tools/common/words.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

using namespace attn;
using namespace attn::tools;

TEST_CASE("a float printed as JSON is the same float when read back") {
  std::mt19937 random(1);
  for (int i = 0; i < 100000; ++i) {
    const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    if (!std::isfinite(value)) continue;
    const auto back = nlohmann::json::parse(json_number(value)).get<double>();
    REQUIRE(std::bit_cast<std::uint32_t>(static_cast<float>(back)) ==
            std::bit_cast<std::uint32_t>(value));
  }
  CHECK(json_number(1.0F) == "1.0");
  CHECK(json_number(0.1F) == "0.1");
  CHECK(json_number(0.1) == "0.1");
  CHECK(json_number(-0.0F) == "-0.0");
}

TEST_CASE("tensors become lists in lists") {
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  CHECK(json_nested(values, {6}) == "[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]");
  CHECK(json_nested(values, {3, 1, 2}) == "[[[1.0, 2.0]], [[3.0, 4.0]], [[5.0, 6.0]]]");
  CHECK(json_string("a\"\n\xff") == "\"a\\\"\\n\xef\xbf\xbd\"");
  JsonObject object;
  CHECK(object.text() == "{}");
  object.add("a", "1");
  object.add("b", json_lines({"2", "3"}, 1));
  CHECK(object.text() == "{\n  \"a\": 1,\n  \"b\": [\n    2,\n    3\n  ]\n}");
}

TEST_CASE("tables align, whatever the labels are") {
  CHECK(tensor_text("y", std::vector<float>{1, -2.25F, 30, 4}, {2, 2},
                    {{"a", "größer"}, {"k", "l"}, {}}, 80) ==
        "y (2 × 2)\n"
        "                k        l\n"
        "  a        1.0000  -2.2500\n"
        "  größer  30.0000   4.0000\n");
  CHECK(tensor_text("v", std::vector<float>{1, 2}, {2}, {}, 80) == "v (2)\n  1.0000  2.0000\n");
  CHECK(tensor_text("v", std::vector<float>{1, 2}, {2}, {{"a", "b"}, {}, {}}, 80) ==
        "v (2)\n  a  1.0000\n  b  2.0000\n");
  CHECK(tensor_text("b", std::vector<float>{1, 2}, {2, 1, 1}, {}, 80) ==
        "b (2 × 1 × 1)\n  b[0]\n  1.0000\n  b[1]\n  2.0000\n");
}

TEST_CASE("a large tensor keeps to the terminal") {
  const std::vector<float> values(std::size_t{200} * 300, -0.5F);
  const std::string text = tensor_text("big", values, {200, 300}, {positions(200), {}, {}}, 60);
  std::size_t lines = 0, begin = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
    CHECK(display_width(text.substr(begin, end - begin)) <= 60);
    begin = end + 1;
    ++lines;
  }
  CHECK(lines == 41);
  CHECK(text.find("x199") != std::string::npos);
}

TEST_CASE("numbers have four decimals, and few digits") {
  CHECK(decimals(-1e-6) == "0.0000");
  CHECK(decimals(12345.67891) == "12345.6789");
  CHECK(decimals(-3e20) == "-3.0000e+20");
}

TEST_CASE("the ranking descends, and equal weights keep the sentence's order") {
  const std::vector<std::string> tokens{"a", "elephant", "b", "too"};
  const std::vector<float> weights{0.1F, 0.25149F, 0.1F, 0.5F};
  const WordWeights words{tokens, weights,
                          mark_size_words(tokens, std::vector<std::string>{"elephant", "too"})};
  CHECK(ranking_text(words) ==
        "Token: too        Attention Weight: 0.5000\n"
        "Token: elephant   Attention Weight: 0.2515\n"
        "Token: a          Attention Weight: 0.1000\n"
        "Token: b          Attention Weight: 0.1000\n"
        "Combined weight for size-related words: 0.7515\n");
  CHECK(ranking_text({tokens, weights, std::vector<bool>(4, false)}).find("Combined") ==
        std::string::npos);
}

TEST_CASE("option values: numbers within their limits and nothing else") {
  CHECK(whole_number("--epochs", "200", 1, 1000) == 200);
  for (const char* text :
       {"", "0", "-1", "abc", "1.5", "5x", " 5", "1001", "99999999999999999999"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(whole_number("--epochs", text, 1, 1000), Error);
  }
  CHECK(positive_number("--lr", "1e-3") == 1e-3);
  for (const char* text : {"", "0", "-1", "nan", "inf", "1e999", "abc", "1,5"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(positive_number("--lr", text), Error);
  }
  CHECK(seed_number("--seed", "18446744073709551615") == 18446744073709551615U);
  CHECK_THROWS_AS(seed_number("--seed", "-1"), Error);
  CHECK(thread_count({}) == 0);
  CHECK(thread_count("1024") == 1024);
  CHECK_THROWS_AS(thread_count("0"), Error);
  CHECK_THROWS_AS(thread_count("1025"), Error);
  CHECK(word_list("--size-words", "a, b") == std::vector<std::string>{"a", "b"});
  CHECK_THROWS_AS(word_list("--size-words", ""), Error);
  CHECK_THROWS_AS(word_list("--size-words", "a,,b"), Error);
}

TEST_CASE("the end of a file's name is checked before anything is done") {
  CHECK_NOTHROW(check_extension("--plot", "a.PNG", ".png .svg"));
  for (const char* path : {"a.pn", "a", "", ".png", "a.png.gz", "a. "}) {
    CAPTURE(path);
    CHECK_THROWS_AS(check_extension("--plot", path, ".png .svg"), Error);
  }
}
