#include "tools/draw/model_page.hpp"

#include "attn/error.hpp"
#include "tools/draw/colour.hpp"
#include "tools/draw/template.hpp"
#include "tools/draw/text.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <string_view>
#include <zlib.h>

extern "C" {
extern const char attn_model_page[];
extern const char attn_model_page_end[];
extern const char attn_model_page_css[];
extern const char attn_model_page_css_end[];
extern const char attn_model_page_js[];
extern const char attn_model_page_js_end[];
}

namespace attn::tools {
namespace {

std::string embedded(const char* begin, const char* end) {
  return {begin, static_cast<std::size_t>(end - begin)};
}

std::string base64(const std::vector<unsigned char>& bytes) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t three = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      three = three << 8U | (i + j < bytes.size() ? bytes[i + j] : 0U);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      const bool there = i + j <= bytes.size();
      text += there ? digits[three >> (18 - 6 * j) & 63U] : '=';
    }
  }
  return text;
}

std::vector<unsigned char> deflated(const std::vector<unsigned char>& bytes) {
  uLongf size = ::compressBound(static_cast<uLong>(bytes.size()));
  std::vector<unsigned char> packed(size);
  const int status = ::compress2(packed.data(), &size, bytes.data(),
                                 static_cast<uLong>(bytes.size()), Z_DEFAULT_COMPRESSION);
  if (status != Z_OK) throw Error(ErrorKind::memory, "not enough memory to pack a page");
  packed.resize(size);
  return packed;
}

// One layer: a byte a weight, of causal models only the keys that a query may see.
std::string packed_layer(const ModelAttention& a, std::size_t layer) {
  const std::size_t count = a.tokens.size();
  const float* const from = a.weights.data() + layer * a.heads.size() * count * count;
  std::vector<unsigned char> steps;
  for (std::size_t row = 0; row < a.heads.size() * count; ++row) {
    const std::size_t keys = a.causal ? row % count + 1 : count;
    for (std::size_t k = 0; k < keys; ++k) {
      const float weight = std::clamp(from[row * count + k], 0.0F, 1.0F);
      steps.push_back(static_cast<unsigned char>(std::lround(255 * std::sqrt(weight))));
    }
  }
  return base64(deflated(steps));
}

// No "<" is left in it, so that no token can end the element.
std::string page_data(const ModelAttention& a) {
  nlohmann::ordered_json json;
  for (const std::string& token : a.tokens) json["tokens"].push_back(visible(token));
  json["layers"] = a.layers;
  json["heads"] = a.heads;
  json["causal"] = a.causal;
  constexpr int steps = 64;
  for (int i = 0; i <= steps; ++i) {
    json["ramp"].push_back(hex(colormap(static_cast<double>(i) / steps)));
  }
  for (std::size_t l = 0; l < a.layers.size(); ++l) json["maps"].push_back(packed_layer(a, l));
  const std::string text = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (c == '<') {
      out += "\\u003c";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

std::string model_page(const ModelAttention& attention) {
  const std::string title =
      attention.title.empty() ? "Attention weights" : visible(attention.title);
  return filled(embedded(attn_model_page, attn_model_page_end),
                {{"title", escaped(title)},
                 {"style", embedded(attn_model_page_css, attn_model_page_css_end)},
                 {"script", embedded(attn_model_page_js, attn_model_page_js_end)},
                 {"precision", "Weights are shown to within 0.004."},
                 {"data", page_data(attention)}});
}

}  // namespace attn::tools
