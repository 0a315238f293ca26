// The C++ side of overhead.py: the same calls on the facade.
//
//   python_overhead SENTENCES [MODEL]

#include "attn/attn.hpp"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <exception>
#include <fstream>
#include <string>
#include <vector>

namespace {

constexpr int rounds = 10, calls = 20'000;

template <class Work>
double best_seconds(Work work) {
  double best = 1e30;
  for (int round = 0; round < rounds; ++round) {
    const std::clock_t begin = std::clock();
    work();
    best = std::min(best, static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC);
  }
  return best;
}

void compare(int count, char** arguments) {
  attn::Options options;
  options.threads = 1;
  attn::Model small = attn::Model::create("self_attention", {{"embedding_size", "0"}}, 0, options);
  const std::vector<float> x{1, 0, 1, 0, 0, 1, 0, 1, 1, 1, 0, 0};
  const double seconds = best_seconds([&] {
    for (int i = 0; i < calls; ++i) (void)small.run({{"x", {3, 4}, std::span<const float>(x)}});
  });
  std::printf("{\"call_us\": %.4f", seconds / calls * 1e6);
  if (count > 2) {
    std::vector<std::string> sentences;
    std::ifstream file(arguments[1]);
    for (std::string line; std::getline(file, line);) sentences.push_back(line);
    attn::Model model = attn::Model::open(arguments[2], options);
    const double embedding = best_seconds([&] {
      std::vector<std::vector<std::int32_t>> tokens;
      for (const std::string& text : sentences) {
        tokens.push_back(model.tokenize(text, {.truncate = true}));
      }
      (void)model.embed(tokens);
    });
    std::printf(", \"embed_ms\": %.4f", embedding * 1e3);
  }
  std::printf("}\n");
}

}  // namespace

int main(int count, char** arguments) {
  try {
    if (count < 2) {
      std::fprintf(stderr, "usage: python_overhead SENTENCES [MODEL]\n");
      return 2;
    }
    compare(count, arguments);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "python_overhead: %s\n", error.what());
    return 3;
  }
}
