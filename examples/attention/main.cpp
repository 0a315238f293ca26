// Draws where the tokens of a text look: a row is a token, a column one that it may look at.
// usage: attention MODEL TEXT LAYER HEAD > MAP.svg; MODEL is a language model or an encoder

#include <attn/attn.hpp>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr int cell = 24, margin = 120, text_baseline = 16;  // pixels

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      default: out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return out;
}

// `weights` are [tokens, tokens], every row of which sums to 1.
void draw(std::span<const float> weights, const std::vector<std::string>& labels) {
  const auto count = static_cast<int>(labels.size());
  const int side = margin + count * cell;
  std::printf("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\"", side, side);
  std::printf(" font-family=\"sans-serif\" font-size=\"13\">\n");
  for (int i = 0; i < count; ++i) {
    const std::string label = escaped(labels[static_cast<std::size_t>(i)]);
    const int at = margin + i * cell + text_baseline;
    std::printf("<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", margin - 6, at,
                label.c_str());
    std::printf("<text transform=\"translate(%d %d) rotate(-90)\">%s</text>\n", at, margin - 6,
                label.c_str());
  }
  for (int query = 0; query < count; ++query) {
    for (int key = 0; key < count; ++key) {
      const auto weight =
          static_cast<double>(weights[static_cast<std::size_t>(query * count + key)]);
      std::printf("<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill-opacity=\"%.6f\"/>\n",
                  margin + key * cell, margin + query * cell, cell, cell, weight);
    }
  }
  std::printf("</svg>\n");
}

void draw_attention(attn::Model& model, const char* text, int layer, int head) {
  const std::vector<std::int32_t> tokens = model.tokenize(text);
  const attn::AttentionMaps maps = model.attention(tokens, std::vector<int>{layer});
  if (head < 0 || head >= maps.heads) {
    throw attn::Error(attn::ErrorKind::usage, "head " + std::to_string(head) + ": the model has " +
                                                  std::to_string(maps.heads));
  }
  std::vector<std::string> labels;
  for (const std::int32_t token : tokens) labels.push_back(model.token_text(token));
  const std::size_t size = tokens.size() * tokens.size();
  draw(std::span(maps.weights).subspan(static_cast<std::size_t>(head) * size, size), labels);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fputs("usage: attention MODEL TEXT LAYER HEAD > MAP.svg\n", stderr);
    return 2;
  }
  try {
    attn::Model model = attn::Model::open(argv[1]);
    draw_attention(model, argv[2], std::atoi(argv[3]), std::atoi(argv[4]));
  } catch (const attn::Error& error) {
    std::fprintf(stderr, "attention: %s\n", error.what());
    return error.exit_code();
  }
}
