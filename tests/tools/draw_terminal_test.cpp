#include "attn/error.hpp"
#include "tests/tools/draw_samples.hpp"
#include "tools/draw/text.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <cstdlib>

using namespace attn;
using namespace attn::test;
using attn::tools::terminal_heatmap;

namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::string without_escapes(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') {
      i = text.find('m', i);
    } else {
      out += text[i];
    }
  }
  return out;
}

/// Sets or clears COLORTERM for one test.
class ColourTerm {
 public:
  explicit ColourTerm(const char* value) {
    if (const char* old = std::getenv("COLORTERM")) before_ = old;
    value != nullptr ? ::setenv("COLORTERM", value, 1) : ::unsetenv("COLORTERM");
  }
  ~ColourTerm() {
    before_.empty() ? ::unsetenv("COLORTERM") : ::setenv("COLORTERM", before_.c_str(), 1);
  }

 private:
  std::string before_;
};

}  // namespace

TEST_CASE("a small map on a plain terminal, to the letter") {
  tools::AttentionPicture picture{
      "Self-attention", {"the", "big", "car"}, {"the", "big", "car"}, {}};
  picture.maps = {{"head 0", {1, 0, 0, 0.5f, 0.5f, 0, 0.1f, 0.65f, 0.25f}}};
  CHECK(terminal_heatmap(picture, false, 80) ==
        "Self-attention\n"
        "head 0\n"
        "     the   big   car\n"
        "the ██████\n"
        "big ▒▒▒▒▒▒▒▒▒▒▒▒\n"
        "car ······▓▓▓▓▓▓░░░░░░\n"
        "\n"
        "attention weight  · 0.04  ░ 0.20  ▒ 0.40  ▓ 0.60  █ 0.80–1.00\n");
}

TEST_CASE("one query is a list of bars") {
  tools::AttentionPicture picture{"", {"too"}, {"elephant", "über", "日本"}, {}};
  picture.maps = {{"", {0.5f, 0.25f, NAN}}};
  CHECK(terminal_heatmap(picture, false, 25) ==
        "attention of too\n"
        "elephant  0.5000 ████████\n"
        "über      0.2500 ████\n"
        "日本           –\n");
}

TEST_CASE("colours follow what the terminal promises") {
  tools::AttentionPicture picture{"", {"a", "b"}, {"a", "b"}, {{"", {1, 0, 0.5f, 0.5f}}}};
  const ColourTerm promised("truecolor");
  const std::string all = terminal_heatmap(picture, true, 80);
  CHECK(contains(all, "\x1b[48;2;"));
  CHECK(contains(all, "1.00"));
  const ColourTerm silent(nullptr);
  const std::string few = terminal_heatmap(picture, true, 80);
  CHECK(contains(few, "\x1b[48;5;231m\x1b[38;5;16m 1.00"));  // dark on the lightest
  CHECK(contains(few, "\x1b[48;5;17m\x1b[38;5;231m 0.00"));  // white on the darkest
  CHECK_FALSE(contains(few, ";2;"));
  CHECK(without_escapes(few) == without_escapes(all));
  CHECK_FALSE(contains(terminal_heatmap(picture, false, 80), "\x1b"));
  for (const std::string& line : lines_of(all)) {  // no colour leaks into the next line
    if (contains(line, "\x1b")) CHECK(line.rfind("\x1b[") == line.rfind("\x1b[0m"));
  }
}

TEST_CASE("no line is wider than the terminal") {
  const std::vector<tools::AttentionPicture> pictures = {
      sample(pink_elephant(), pink_elephant()), sample({"too"}, pink_elephant()),
      sample({"too"}, pink_elephant(), 12),
      sample(std::vector<std::string>(512), std::vector<std::string>(512), 2),
      sample({"ein", "langes_Bandwurmwort_ohne_Ende"}, {"日本語", "🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘", "x"}, 3)};
  for (const auto& picture : pictures) {
    for (const int width : {20, 33, 80, 200}) {
      for (const bool colour : {false, true}) {
        for (const std::string& line :
             lines_of(without_escapes(terminal_heatmap(picture, colour, width)))) {
          if (contains(line, "attention weight") || contains(line, "each cell")) continue;
          CAPTURE(width, colour, line);
          CHECK(tools::display_width(line) <= width);
        }
      }
    }
  }
}

TEST_CASE("labels that do not fit across stand upright") {
  const auto lines =
      lines_of(terminal_heatmap(sample(pink_elephant(), pink_elephant()), false, 60));
  REQUIRE(lines.size() > 12);
  CHECK(lines[2].find('e') != std::string::npos);  // of "elephant", the longest
  CHECK(lines[9] == "          e  k  t  d  o  t  o  e  r  t  t  s  o");
  CHECK(lines[10].substr(0, 9) == "     The ");
}

TEST_CASE("heads of one query become columns") {
  const std::string text = terminal_heatmap(sample({"too"}, pink_elephant(), 3), false, 80);
  CHECK(contains(text, "head 0 head 1 head 2"));
  CHECK(contains(text, "\nelephant "));
}

TEST_CASE("a map that is too large is reduced to its largest weights") {
  auto picture = sample(std::vector<std::string>(300), std::vector<std::string>(300));
  std::fill(picture.maps[0].weights.begin(), picture.maps[0].weights.end(), 0.0f);
  picture.maps[0].weights[150 * 300 + 299] = 1;
  const std::string text = terminal_heatmap(picture, false, 80);
  CHECK(count(text, "█") == 2);  // the one weight, and the legend
  CHECK(contains(text, "each cell the largest of 8 × 4 weights"));
  CHECK(lines_of(text).size() < 60);
}

TEST_CASE("pictures that make no sense are refused") {
  tools::AttentionPicture picture{"", {"a"}, {"a", "b"}, {{"head 3", {1}}}};
  CHECK_THROWS_WITH(terminal_heatmap(picture, false, 80),
                    "attention map 'head 3' has 1 weights, not 1 × 2");
  picture.maps.clear();
  CHECK_THROWS_AS(terminal_heatmap(picture, false, 80), Error);
}
