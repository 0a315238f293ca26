#include "tools/draw/scene.hpp"
#include "tools/draw/text.hpp"

#include <cmath>
#include <cstdio>

namespace attn::tools {
namespace {

/// Hundredths of a point are finer than any screen; no trailing zeros.
std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", value);
  std::string out = text;
  out.erase(out.find_last_not_of('0') + 1);
  if (out.back() == '.') out.pop_back();
  return out == "-0" ? "0" : out;
}

std::string attribute(const char* name, const std::string& value) {
  return std::string(" ") + name + "=\"" + value + "\"";
}

std::string attribute(const char* name, double value) { return attribute(name, number(value)); }

std::string box(double x, double y, double width, double height) {
  return attribute("x", x) + attribute("y", y) + attribute("width", width) +
         attribute("height", height);
}

std::string base64(const std::string& bytes) {
  constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = bytes.size() - i;
    const auto byte = [&](std::size_t k) {
      return k < left ? static_cast<unsigned>(static_cast<unsigned char>(bytes[i + k])) : 0u;
    };
    const unsigned word = byte(0) << 16 | byte(1) << 8 | byte(2);
    out += digits[word >> 18];
    out += digits[word >> 12 & 63];
    out += left > 1 ? digits[word >> 6 & 63] : '=';
    out += left > 2 ? digits[word & 63] : '=';
  }
  return out;
}

struct Writer {
  std::string out;

  void operator()(const Rect& rect) {
    // crisp edges: neighbouring cells show no seam
    out += "<rect" + box(rect.x, rect.y, rect.width, rect.height) +
           attribute("fill", hex(rect.fill)) + " shape-rendering=\"crispEdges\"";
    out += rect.tooltip.empty() ? "/>\n" : "><title>" + escaped(rect.tooltip) + "</title></rect>\n";
  }

  void operator()(const Polyline& line) {
    out += "<polyline points=\"";
    for (std::size_t i = 0; i < line.xs.size(); ++i) {
      if (i > 0) out += ' ';
      out += number(line.xs[i]) + "," + number(line.ys[i]);
    }
    out += "\" fill=\"none\" stroke-linejoin=\"round\"" + attribute("stroke", hex(line.stroke)) +
           attribute("stroke-width", line.width);
    if (!line.dashes.empty()) {
      std::string lengths;
      for (const double dash : line.dashes) lengths += (lengths.empty() ? "" : " ") + number(dash);
      out += attribute("stroke-dasharray", lengths);
    }
    out += "/>\n";
  }

  void operator()(const Text& text) {
    out += "<text" + attribute("x", text.x) + attribute("y", text.y) +
           attribute("font-size", text.size) + attribute("fill", hex(text.fill));
    if (text.anchor != Anchor::start) {
      out += attribute("text-anchor", text.anchor == Anchor::middle ? "middle" : "end");
    }
    if (text.bold) out += " font-weight=\"bold\"";
    if (text.degrees != 0) {
      out += attribute("transform", "rotate(" + number(text.degrees) + " " + number(text.x) + " " +
                                        number(text.y) + ")");
    }
    out += ">" + escaped(text.text) + "</text>\n";
  }

  void operator()(const Raster& raster) {
    out += "<image" + box(raster.x, raster.y, raster.width, raster.height) +
           " preserveAspectRatio=\"none\" image-rendering=\"optimizeSpeed\""
           " style=\"image-rendering:pixelated\" href=\"data:image/png;base64," +
           base64(png(raster)) + "\"/>\n";
  }
};

}  // namespace

std::string svg(const Scene& scene) {
  Writer writer;
  writer.out = "<svg xmlns=\"http://www.w3.org/2000/svg\"" + attribute("width", scene.width) +
               attribute("height", scene.height) +
               attribute("viewBox", "0 0 " + number(scene.width) + " " + number(scene.height)) +
               " font-family=\"'DejaVu Sans', Verdana, sans-serif\" role=\"img\">\n<title>" +
               escaped(scene.title) + "</title>\n" +
               "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n";
  for (const Item& item : scene.items) std::visit(writer, item);
  return std::move(writer.out) + "</svg>\n";
}

}  // namespace attn::tools
