#include "attn/error.hpp"
#include "tests/tools/draw_samples.hpp"
#include "tools/draw/loss_plot.hpp"
#include "tools/draw/scenes.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <cmath>
#include <thread>

using namespace attn;
using namespace attn::test;
using tools::write_heatmap;
using tools::write_loss_plot;
using tools::write_training_plot;

namespace {

std::uint32_t big_endian(const std::string& bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i)
    value = value << 8 | static_cast<unsigned char>(bytes.at(at + i));
  return value;
}

void check_png(const std::string& bytes, const tools::Scene& scene) {
  REQUIRE(bytes.size() > 1000);
  CHECK(bytes.substr(0, 8) == "\x89PNG\r\n\x1a\n");
  CHECK(big_endian(bytes, 16) == static_cast<std::uint32_t>(scene.width) * 2);
  CHECK(big_endian(bytes, 20) == static_cast<std::uint32_t>(scene.height) * 2);
  CHECK(bytes.substr(bytes.size() - 8, 4) == "IEND");
}

template <class Call>
ErrorKind kind_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.kind();
  }
  throw std::runtime_error("nothing was thrown");
}

std::string drawn(const tools::AttentionPicture& picture, const std::string& name) {
  const TemporaryFolder folder;
  write_heatmap(folder / name, picture);
  CHECK(folder.entries() == 1);  // no temporary file stays behind
  return read_file(folder / name);
}

tools::TrainingPlot training(int epochs) {
  tools::TrainingPlot plot{"Training", {}, {}};
  const auto tokens = pink_elephant();
  for (std::size_t t = 0; t < tokens.size(); ++t)
    plot.series.push_back({tokens[t], {}, t == 1 || t == 2});
  for (int e = 0; e < epochs; ++e) {
    plot.losses.push_back(1 / (1 + 0.01 * e));
    for (auto& series : plot.series)
      series.values.push_back(series.emphasised ? 0.1 + 0.0005 * e : 0.07);
  }
  return plot;
}

}  // namespace

TEST_CASE("an SVG holds every label, value and axis as text") {
  const std::string svg = drawn(sample(pink_elephant(), pink_elephant()), "map.svg");
  CHECK(svg.substr(0, 5) == "<svg ");
  for (const std::string& token : pink_elephant()) CHECK(count(svg, ">" + token + "</text>") >= 2);
  for (const char* text : {">query<", ">key<", ">attention weight<", ">head 0<", ">Sample<"})
    CHECK(contains(svg, text));
  CHECK(count(svg, "<rect ") == 13 * 13 + 1);  // the cells and the ground
  CHECK(contains(svg, "<title>pink → The: "));
}

TEST_CASE("labels cannot break out of an SVG") {
  auto picture = sample({"<b>&\"", "\n"}, {"]]>", "a\xff\x01"});
  picture.title = "</svg><script>alert(1)</script>";
  const std::string svg = drawn(picture, "map.svg");
  CHECK(contains(svg, "&lt;b&gt;&amp;&quot;"));
  CHECK(contains(svg, ">↵</text>"));
  CHECK(contains(svg, ">a��</text>"));
  CHECK_FALSE(contains(svg, "<script"));
  CHECK(count(svg, "</svg>") == 1);
}

TEST_CASE("a PNG has the picture's size at two pixels a point") {
  const auto picture = sample({"a", "b", "c"}, {"a", "b", "c"}, 2);
  const std::string png = drawn(picture, "map.png");
  check_png(png, tools::heatmap_scene(picture));
  CHECK(png == drawn(picture, "map.PNG"));  // any case of the extension, always the same bytes
  auto other = picture;
  std::swap(other.maps[0].weights[0], other.maps[0].weights[1]);
  CHECK(png != drawn(other, "map.png"));
}

TEST_CASE("every shape of picture is drawn within its bounds") {
  const std::vector<std::string> few = {"a", "b"}, forty(40, "token");
  const std::vector<tools::AttentionPicture> pictures = {
      sample({"x"}, {"y"}),
      sample({"too"}, pink_elephant()),
      sample({""}, forty),
      sample({"too"}, forty, 12),
      sample(forty, forty),
      sample(forty, few, 3),
      sample(few, forty, 5),
      sample(forty, forty, 13),
      sample(std::vector<std::string>(3000), few),
      sample(few, {std::string(500, 'w'), "日本語"})};
  for (const auto& picture : pictures) {
    const tools::Scene scene = tools::heatmap_scene(picture);
    CAPTURE(picture.rows.size(), picture.columns.size(), picture.maps.size());
    CHECK(scene.width < 3000);
    CHECK(scene.height < 2000);
    for (const tools::Item& item : scene.items) {
      if (const auto* rect = std::get_if<tools::Rect>(&item)) {
        CHECK((rect->x >= 0 && rect->x + rect->width <= scene.width));
        CHECK((rect->y >= 0 && rect->y + rect->height <= scene.height));
      } else if (const auto* text = std::get_if<tools::Text>(&item)) {
        const double length = tools::text_width(text->text, text->size, text->bold);
        const double before = text->anchor == tools::Anchor::start ? 0
                              : text->anchor == tools::Anchor::end ? 1
                                                                   : 0.5;
        const double angle = text->degrees * 3.14159265 / 180;
        for (const double along : {-before * length, (1 - before) * length}) {
          const double x = text->x + along * std::cos(angle), y = text->y + along * std::sin(angle);
          CAPTURE(text->text, x, y, scene.width, scene.height);
          CHECK((x >= 0 && x <= scene.width && y >= 0 && y <= scene.height));
        }
      }
    }
  }
}

TEST_CASE("a map of 512 positions is an image with numbered axes") {
  const std::vector<std::string> none(512);
  const std::string svg = drawn(sample(none, none), "map.svg");
  CHECK(count(svg, "<image ") == 2);  // the map and the colour bar
  CHECK(contains(svg, ">450</text>"));
  CHECK(svg.size() < 1'500'000);
}

TEST_CASE("weights that are no number are hatched, not fatal") {
  auto picture = sample({"a", "b"}, {"a", "b"});
  const auto lines_before = count(drawn(picture, "map.svg"), "<polyline");
  picture.maps[0].weights = {NAN, 0.5f, INFINITY, -INFINITY};
  const std::string svg = drawn(picture, "map.svg");
  CHECK(count(svg, "<polyline") == lines_before + 4UL * 3);  // three strokes a cell, and in the key
  CHECK(contains(svg, ">no number<"));
  CHECK_FALSE(contains(svg, "nan"));
  CHECK_FALSE(contains(svg, "inf"));
  for (const char* name : {"map.png", "map.html", "map.json"})
    CHECK_FALSE(drawn(picture, name).empty());
  picture.maps[0].weights.assign(4, NAN);
  CHECK_FALSE(drawn(picture, "map.png").empty());
}

TEST_CASE("JSON gives back every label and every bit of the weights") {
  auto picture = sample(pink_elephant(), {"a\"\\", "\n", "</script>", "🐘"}, 2);
  picture.maps[1].weights[5] = NAN;
  const auto json = nlohmann::json::parse(drawn(picture, "map.json"));
  CHECK(json["title"] == picture.title);
  CHECK(json["rows"].get<std::vector<std::string>>() == picture.rows);
  CHECK(json["columns"].get<std::vector<std::string>>() == picture.columns);
  REQUIRE(json["maps"].size() == 2);
  for (std::size_t m = 0; m < 2; ++m) {
    CHECK(json["maps"][m]["title"] == picture.maps[m].title);
    for (std::size_t r = 0; r < 13; ++r) {
      for (std::size_t c = 0; c < 4; ++c) {
        const auto& weight = json["maps"][m]["weights"][r][c];
        const float exact = picture.maps[m].weights[r * 4 + c];
        CHECK((std::isnan(exact) ? weight.is_null() : weight.get<float>() == exact));
      }
    }
  }
}

TEST_CASE("the page carries its data harmlessly and needs no network") {
  auto picture = sample({"</script><script>alert(1)</script>", "@{tables}"}, {"<!--", "日本"}, 2);
  picture.title = "</title><img src=x onerror=alert(1)>";
  const std::string html = drawn(picture, "map.html");
  CHECK(count(html, "</script>") == 2);  // the data's and the program's
  CHECK(count(html, "</title>") == 1);
  CHECK_FALSE(contains(html, "<img"));
  CHECK_FALSE(contains(html, "<!--"));
  CHECK_FALSE(contains(html, "http:"));
  CHECK_FALSE(contains(html, "https:"));
  CHECK(count(html, "<table>") == 2);
  CHECK(contains(html, "<th scope=\"row\">@{tables}</th>"));
  const std::string open = "<script type=\"application/json\" id=\"data\">";
  const std::size_t from = html.find(open) + open.size();
  const auto data = nlohmann::json::parse(html.substr(from, html.find("</script>", from) - from));
  CHECK(data["rows"].get<std::vector<std::string>>() == picture.rows);
  CHECK(data["maps"][1]["weights"][1][0].get<float>() == picture.maps[1].weights[2]);
}

TEST_CASE("an unknown extension names the known ones") {
  const TemporaryFolder folder;
  const auto picture = sample({"a"}, {"b"});
  for (const char* name : {"map.pdf", "map", "png", ".png", "map.png.txt"}) {
    CAPTURE(name);
    CHECK(kind_of([&] { write_heatmap(folder / name, picture); }) == ErrorKind::usage);
  }
  CHECK_THROWS_WITH(write_heatmap("map.pdf", picture),
                    "map.pdf: a picture of attention is a .png, .svg, .html or .json file");
  CHECK(kind_of([&] { write_training_plot(folder / "t.html", training(3)); }) == ErrorKind::usage);
  CHECK(folder.entries() == 0);
}

TEST_CASE("a file that cannot be written is named, and nothing stays behind") {
  const TemporaryFolder folder;
  const auto picture = sample({"a"}, {"b"});
  const std::string missing = folder / "nowhere/map.svg";
  CHECK(kind_of([&] { write_heatmap(missing, picture); }) == ErrorKind::io);
  CHECK_THROWS_WITH(write_heatmap(missing, picture), Catch::StartsWith(missing + ": "));
  std::filesystem::create_directory(folder / "folder.png");
  CHECK(kind_of([&] { write_heatmap(folder / "folder.png", picture); }) == ErrorKind::io);
  CHECK(kind_of([&] { write_training_plot(folder / "nowhere/t.png", training(3)); }) ==
        ErrorKind::io);
  CHECK(folder.entries() == 1);
}

TEST_CASE("a file that was there is replaced") {
  const TemporaryFolder folder;
  std::ofstream(folder / "map.json") << "old";
  write_heatmap(folder / "map.json", sample({"a"}, {"b"}));
  CHECK(read_file(folder / "map.json")[0] == '{');
  CHECK(folder.entries() == 1);
}

TEST_CASE("pictures and plots that make no sense are refused") {
  const TemporaryFolder folder;
  auto picture = sample({"a", "b"}, {"c"});
  picture.maps[0].weights.pop_back();
  for (const char* name : {"m.png", "m.svg", "m.html", "m.json"}) {
    CHECK(kind_of([&] { write_heatmap(folder / name, picture); }) == ErrorKind::usage);
    CHECK(kind_of([&] { write_heatmap(folder / name, {}); }) == ErrorKind::usage);
  }
  CHECK(kind_of([&] { write_training_plot(folder / "t.png", {}); }) == ErrorKind::usage);
  CHECK(folder.entries() == 0);
}

TEST_CASE("a training plot labels its lines without overlaps") {
  const TemporaryFolder folder;
  const auto plot = training(200);
  write_training_plot(folder / "t.svg", plot);
  write_training_plot(folder / "t.png", plot);
  const std::string svg = read_file(folder / "t.svg");
  for (const char* text : {">loss<", ">attention weight<", ">epoch<", ">Training<", ">180<",
                           ">elephant  0.200<", ">too  0.070<"}) {
    CAPTURE(text);
    CHECK(contains(svg, text));
  }
  CHECK(contains(svg, "stroke-dasharray"));
  const tools::Scene scene = tools::training_scene(plot);
  check_png(read_file(folder / "t.png"), scene);
  std::vector<double> ys;
  for (const tools::Item& item : scene.items) {
    const auto* text = std::get_if<tools::Text>(&item);
    if (text == nullptr || !contains(text->text, "  0.")) continue;
    for (const double y : ys) CHECK(std::abs(text->y - y) >= text->size);
    ys.push_back(text->y);
    CHECK(text->x + tools::text_width(text->text, text->size, text->bold) <= scene.width);
  }
  CHECK(ys.size() == 13);
}

TEST_CASE("a training plot copes with one epoch, gaps, many epochs and lines of other lengths") {
  const TemporaryFolder folder;
  auto plot = training(1);
  write_training_plot(folder / "one.png", plot);
  plot = training(50000);
  plot.losses[100] = NAN;
  plot.series[0].values.clear();
  plot.series[1].values.resize(7);
  plot.series[2].values.assign(9, INFINITY);
  write_training_plot(folder / "many.svg", plot);
  const std::string svg = read_file(folder / "many.svg");
  CHECK(svg.size() < 1'000'000);
  CHECK_FALSE(contains(svg, "nan"));
  CHECK_FALSE(contains(svg, "inf"));
  plot.losses.assign(3, NAN);
  plot.series.clear();
  write_training_plot(folder / "nothing.png", plot);
}

TEST_CASE("a plot of losses says which line is which") {
  const TemporaryFolder folder;
  tools::LossPlot plot{"tuning", {}, {{0, 3}, {150, 2.5}, {300, 2.25}}};
  for (int i = 0; i < 300; ++i) plot.losses.push_back(3 - i / 400.0 + 0.3 * std::sin(i * 7.0));
  plot.losses[100] = NAN;
  write_loss_plot(folder / "l.svg", plot);
  write_loss_plot(folder / "l.png", plot);
  const std::string svg = read_file(folder / "l.svg");
  for (const char* text : {">loss<", ">update<", ">every update<", ">mean of 10<",
                           ">held-out examples<", ">300<", ">tuning<"}) {
    CAPTURE(text);
    CHECK(contains(svg, text));
  }
  CHECK_FALSE(contains(svg, "nan"));
  const tools::Scene scene = tools::loss_scene(plot);
  check_png(read_file(folder / "l.png"), scene);
  int markers = 0;
  for (const tools::Item& item : scene.items) {
    if (const auto* rect = std::get_if<tools::Rect>(&item)) {
      ++markers;
      CHECK(rect->x > 0);
      CHECK(rect->x + rect->width < scene.width);
    }
  }
  CHECK(markers == 4);  // three evaluations and the legend's

  plot = {"", {2}, {}};
  write_loss_plot(folder / "l.svg", plot);
  CHECK_FALSE(contains(read_file(folder / "l.svg"), "held-out"));
  plot.losses.assign(100, NAN);
  plot.held_out = {{0, NAN}};
  write_loss_plot(folder / "l.svg", plot);
  CHECK_FALSE(contains(read_file(folder / "l.svg"), "nan"));
  CHECK(kind_of([&] { write_loss_plot(folder / "l.png", {}); }) == ErrorKind::usage);
  CHECK(kind_of([&] { write_loss_plot(folder / "l.gif", plot); }) == ErrorKind::usage);
  CHECK(kind_of([&] { write_loss_plot(folder / "no/l.png", plot); }) == ErrorKind::io);
}

TEST_CASE("pictures are drawn on several threads at once") {
  const TemporaryFolder folder;
  const auto picture = sample(pink_elephant(), pink_elephant());
  std::vector<std::thread> threads;
  threads.reserve(3);
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&, i] { write_heatmap(folder / (std::to_string(i) + ".png"), picture); });
  }
  for (auto& thread : threads) thread.join();
  CHECK(read_file(folder / "0.png") == read_file(folder / "1.png"));
  CHECK(read_file(folder / "0.png") == read_file(folder / "2.png"));
}
