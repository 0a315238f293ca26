#include "bench/measure.hpp"

#include "attn/generator.hpp"
#include "bench/child.hpp"

#include <chrono>
#include <cstdint>

namespace attn::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Tokens = std::vector<std::int32_t>;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// Ids spread over the vocabulary, as text has them.
Tokens some_tokens(std::int64_t count, std::int64_t vocabulary) {
  Tokens tokens;
  for (std::int64_t i = 0; i < count; ++i) {
    tokens.push_back(static_cast<std::int32_t>((1000 + i * 7919) % vocabulary));
  }
  return tokens;
}

// A language model at work on one test.
class Language {
 public:
  Language(const Model& model, const Test& test, KvType kv_type)
      : test_(test),
        vocabulary_(model.text().vocab_size),
        tokens_(some_tokens(test.context() - test.generate, vocabulary_)),
        generator_(model, {.context = test.context(), .batch = test.batch, .kv_type = kv_type}) {}

  void answer() { generator_.generate(tokens_, {.max_tokens = 1, .sampling = {.temperature = 0}}); }

  void run(Measured& measured) {
    if (test_.generate > 0) {
      decode(measured);
    } else {
      another_prompt();
      const auto begin = Clock::now();
      read();
      measured.latencies.push_back(seconds_since(begin));
      measured.runs.push_back(measured.latencies.back());
    }
  }

 private:
  // To the logits of the last token. What the cache holds of the beginning is not read again.
  void read() { generator_.generate(tokens_, {.max_tokens = 0}); }

  // The cache is good for the tokens of the depth, and for none behind.
  void another_prompt() {
    std::int32_t& first = tokens_[static_cast<std::size_t>(test_.depth)];
    first = static_cast<std::int32_t>((first + 1) % vocabulary_);
  }

  void decode(Measured& measured) {
    const std::size_t prompt = tokens_.size();
    another_prompt();
    read();
    double sum = 0;
    for (const std::int32_t token : some_tokens(test_.generate, vocabulary_)) {
      tokens_.push_back(token);
      const auto begin = Clock::now();
      read();
      measured.latencies.push_back(seconds_since(begin));
      sum += measured.latencies.back();
    }
    measured.runs.push_back(sum);
    tokens_.resize(prompt);
  }

  Test test_;
  std::int64_t vocabulary_;
  Tokens tokens_;
  Generator generator_;
};

// An encoder at work on one test.
class Embedder {
 public:
  Embedder(Model& model, const Test& test, KvType /*kv_type*/)
      : model_(model),
        texts_(static_cast<std::size_t>(test.batch),
               some_tokens(test.prompt, model.text().vocab_size)) {}

  void answer() { static_cast<void>(model_.embed(texts_)); }

  void run(Measured& measured) {
    const auto begin = Clock::now();
    answer();
    measured.latencies.push_back(seconds_since(begin));
    measured.runs.push_back(measured.latencies.back());
  }

 private:
  Model& model_;
  std::vector<Tokens> texts_;
};

template <class Subject>
Measured measure_as(const std::filesystem::path& path, const Options& options, const Test& test,
                    KvType kv_type, int repetitions) {
  Measured measured;
  const auto begin = Clock::now();
  Model model = Model::open(path, options);
  Subject subject(model, test, kv_type);
  measured.load = seconds_since(begin);
  subject.answer();
  measured.first_token = seconds_since(begin);
  if (repetitions > 0) {
    Measured warm_up;
    subject.run(warm_up);
    for (int i = 0; i < repetitions; ++i) subject.run(measured);
  }
  measured.peak_bytes = peak_resident_bytes();
  return measured;
}

}  // namespace

Measured measure(const std::filesystem::path& path, const Options& options, bool encoder,
                 const Test& test, KvType kv_type, int repetitions) {
  return encoder ? measure_as<Embedder>(path, options, test, kv_type, repetitions)
                 : measure_as<Language>(path, options, test, kv_type, repetitions);
}

}  // namespace attn::bench
