#include "tools/draw/colour.hpp"
#include "tools/draw/scale.hpp"
#include "tools/draw/scene.hpp"
#include "tools/draw/text.hpp"
#include "tools/draw/ticks.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>

using namespace attn::tools;

TEST_CASE("labels become text that can be drawn") {
  CHECK(visible("naïve") == "naïve");
  CHECK(visible("a\nb\tc") == "a↵b⇥c");
  CHECK(visible("  ") == "␣␣");
  CHECK(visible(" the") == " the");
  CHECK(visible("").empty());
  CHECK(visible(std::string("a\0\x1b\x7f", 4)) == "a���");
}

TEST_CASE("bytes that are no UTF-8 are replaced one by one") {
  CHECK(visible("\xff") == "�");
  CHECK(visible("a\xc3") == "a�");               // cut off
  CHECK(visible("\xc0\xaf") == "��");            // overlong
  CHECK(visible("\xed\xa0\x80") == "���");       // half of a surrogate pair
  CHECK(visible("\xf4\x90\x80\x80") == "����");  // beyond U+10FFFF
  CHECK(visible("\xe2\x82z") == "��z");          // interrupted
  CHECK(visible("\xf0\x9f\x90\x98") == "🐘");
}

TEST_CASE("display width counts columns") {
  CHECK(display_width("elephant") == 8);
  CHECK(display_width("über") == 4);
  CHECK(display_width("e\xcc\x81") == 1);  // e and a combining acute accent
  CHECK(display_width("日本") == 4);
  CHECK(display_width("🐘") == 2);
}

TEST_CASE("text is fitted to columns and to points") {
  CHECK(fitted("elephant", 8) == "elephant");
  CHECK(fitted("elephant", 5) == "elep…");
  CHECK(fitted("日本語", 4) == "日…");
  CHECK(fitted("elephant", 0).empty());
  CHECK(fitted_text("car", 12, 100) == "car");
  const std::string shortened = fitted_text("an uncommonly long token", 12, 60);
  CHECK(text_width(shortened, 12) <= 60);
  CHECK(text_width(shortened, 12) > 45);
  CHECK(shortened.substr(shortened.size() - 3) == "…");
  CHECK(fitted_text("wide", 12, 1).empty());
  CHECK(text_width("wide", 12, true) > text_width("wide", 12));
}

TEST_CASE("XML's own characters are escaped") {
  CHECK(escaped("<a href=\"x\">&'") == "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
}

TEST_CASE("the colour map darkens steadily, so grey copies keep the order") {
  for (int i = 2; i < 256; ++i) {
    CAPTURE(i);  // a single step may round to the same bytes
    CHECK(luminance(colormap(i / 255.0)) <= luminance(colormap((i - 1) / 255.0)));
    CHECK(luminance(colormap(i / 255.0)) < luminance(colormap((i - 2) / 255.0)));
  }
  CHECK(luminance(colormap(0)) > 0.8);
  CHECK(luminance(colormap(1)) < 0.05);
  CHECK(colormap(-3) == colormap(0));
  CHECK(colormap(7) == colormap(1));
  CHECK(colormap(std::nan("")) == colormap(0));
}

TEST_CASE("text stands out against every colour of the map") {
  for (int i = 0; i <= 255; ++i) {
    const Rgb ground = colormap(i / 255.0);
    const double a = luminance(ground) + 0.05, b = luminance(text_on(ground)) + 0.05;
    CAPTURE(i);
    CHECK(std::max(a, b) / std::min(a, b) > 3.5);  // WCAG asks 3 of graphics and large text
  }
}

TEST_CASE("ticks are round numbers that enclose the data") {
  const auto texts = [](const Ticks& ticks) {
    std::string all;
    for (int i = 0; i < ticks.count; ++i) all += (i > 0 ? " " : "") + ticks.text(i);
    return all;
  };
  CHECK(texts(enclosing_ticks(0, 0.2515, 6)) == "0.0 0.1 0.2 0.3");
  CHECK(texts(enclosing_ticks(0, 1, 6)) == "0.0 0.2 0.4 0.6 0.8 1.0");
  CHECK(texts(enclosing_ticks(0, 0.3, 7)) == "0.00 0.05 0.10 0.15 0.20 0.25 0.30");
  CHECK(texts(enclosing_ticks(-1, 1, 5)) == "-1.0 -0.5 0.0 0.5 1.0");
  CHECK(texts(enclosing_ticks(0.9, 0.9, 5)) == "0.850 0.875 0.900 0.925 0.950");
  CHECK(texts(counting_ticks(199, 11)) == "0 20 40 60 80 100 120 140 160 180");
  CHECK(texts(counting_ticks(3, 11)) == "0 1 2 3");
  CHECK(texts(counting_ticks(0, 11)) == "0");
  CHECK(number_text(-0.0001, 2) == "0.00");
  CHECK(number_text(2e12, 2) == "2e+12");
  const double most = std::numeric_limits<float>::max();
  CHECK(enclosing_ticks(0, most, 6).last() >= most);
}

TEST_CASE("long maps get a power scale with ticks that do not crowd") {
  Maps maps;
  maps.rows = {""};
  maps.columns.assign(512, "");
  maps.maps = {{"", std::vector<float>(512, 0.001f)}};
  maps.maps[0].weights[3] = 1;
  const ColourScale scale = scale_of(maps);
  CHECK(scale.position(0.001) > 0.05);
  CHECK(scale.position(0) == 0);
  CHECK(scale.position(1) == 1);
  const auto ticks = scale.ticks(300);
  REQUIRE(ticks.size() >= 4);
  CHECK(ticks.front().text == "1");
  CHECK(ticks.back().text == "0");
  for (std::size_t i = 1; i < ticks.size(); ++i) {
    CHECK((ticks[i - 1].position - ticks[i].position) * 300 > 31.9);
  }
}
