#include "tools/draw/model_attention.hpp"

#include "attn/error.hpp"
#include "tools/draw/files.hpp"
#include "tools/draw/model_page.hpp"
#include "tools/draw/model_sheet.hpp"
#include "tools/draw/scenes.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <charconv>

namespace attn::tools {
namespace {

void check(const ModelAttention& a) {
  const std::size_t map = a.tokens.size() * a.tokens.size();
  const std::size_t wanted = a.layers.size() * a.heads.size() * map;
  if (wanted == 0 || a.weights.size() != wanted) {
    throw Error(ErrorKind::usage, "attention: " + std::to_string(a.weights.size()) +
                                      " weights for " + std::to_string(a.layers.size()) +
                                      " layers, " + std::to_string(a.heads.size()) + " heads and " +
                                      std::to_string(a.tokens.size()) + " tokens");
  }
}

void append(std::string& out, float weight) {
  std::array<char, 32> digits{};
  out.append(digits.data(),
             std::to_chars(digits.data(), digits.data() + digits.size(), weight).ptr);
}

// Written as it goes: the largest maps are a hundred megabytes of text.
std::string json(const ModelAttention& a) {
  const auto text = [](const std::vector<std::string>& strings) {
    return nlohmann::json(strings).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  };
  std::string out = "{\"tokens\": " + text(a.tokens) +
                    ",\n\"heads\": " + nlohmann::json(a.heads).dump() + ",\n\"layers\": {";
  const float* weight = a.weights.data();
  for (std::size_t l = 0; l < a.layers.size(); ++l) {
    out += (l == 0 ? "\n\"" : ",\n\"") + std::to_string(a.layers[l]) + "\": [";
    for (std::size_t h = 0; h < a.heads.size(); ++h) {
      out += h == 0 ? "\n[" : ",\n[";
      for (std::size_t q = 0; q < a.tokens.size(); ++q) {
        out += q == 0 ? "[" : ", [";
        for (std::size_t k = 0; k < a.tokens.size(); ++k) {
          if (k > 0) out += ",";
          append(out, *weight++);
        }
        out += "]";
      }
      out += "]";
    }
    out += "]";
  }
  return out + "}}\n";
}

}  // namespace

void write_model_attention(const std::string& path, const ModelAttention& attention) {
  check(attention);
  const std::string ext = extension(path);
  if (ext == ".json") return write_file(path, json(attention));
  if (ext == ".html") return write_file(path, model_page(attention));
  if (ext == ".png") return write_file(path, png(model_sheet(attention)));
  if (ext == ".svg") return write_file(path, svg(model_sheet(attention)));
  throw Error(ErrorKind::usage,
              path + ": a picture of attention is a .png, .svg, .html or .json file");
}

}  // namespace attn::tools
