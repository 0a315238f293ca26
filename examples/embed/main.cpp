// Embeds sentences and tells how alike each of them is to the first.
// usage: embed MODEL < SENTENCES, one a line; MODEL is a sentence encoder

#include <attn/attn.hpp>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <numeric>
#include <span>
#include <string>
#include <vector>

namespace {

double cosine(std::span<const float> a, std::span<const float> b) {
  const double ab = std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
  const double aa = std::inner_product(a.begin(), a.end(), a.begin(), 0.0);
  const double bb = std::inner_product(b.begin(), b.end(), b.begin(), 0.0);
  return ab / std::sqrt(aa * bb);
}

void compare_sentences(attn::Model& model) {
  std::vector<std::string> sentences;
  std::vector<std::vector<std::int32_t>> tokens;
  for (std::string line; std::getline(std::cin, line);) {
    tokens.push_back(model.tokenize(line, {.truncate = true}));
    sentences.push_back(line);
  }
  // all at once: nothing is padded, and every weight is read for many of them
  const attn::Embeddings embeddings = model.embed(tokens);
  const auto width = static_cast<std::size_t>(embeddings.width);
  const std::span<const float> values(embeddings.values);
  for (std::size_t i = 0; i < sentences.size(); ++i) {
    const double likeness = cosine(values.first(width), values.subspan(i * width, width));
    std::printf("%.4f  %s\n", likeness, sentences[i].c_str());
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: embed MODEL < SENTENCES\n", stderr);
    return 2;
  }
  try {
    attn::Model model = attn::Model::open(argv[1]);
    compare_sentences(model);
  } catch (const attn::Error& error) {
    std::fprintf(stderr, "embed: %s\n", error.what());
    return error.exit_code();
  }
}
