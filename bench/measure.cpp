#include "bench/measure.hpp"

#include "attn/batch.hpp"
#include "attn/error.hpp"
#include "bench/child.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

namespace attn::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Tokens = std::vector<std::int32_t>;

double seconds_between(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double>(end - begin).count();
}

double seconds_since(Clock::time_point begin) { return seconds_between(begin, Clock::now()); }

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

// A language model that generates several answers together.
class Together {
 public:
  Together(const Model& model, const Test& test, KvType kv_type) : model_(model), test_(test) {
    const std::int64_t length = std::max(test.depth, 1);
    const Tokens tokens = some_tokens(length * test.parallel, model.text().vocab_size);
    for (auto from = tokens.begin(); from != tokens.end(); from += length) {
      prompts_.push_back({.tokens = Tokens(from, from + length)});
    }
    options_.parallel = test.parallel;
    options_.context = test.context();
    options_.kv_type = kv_type;
    // all prompts are read in one go, so that the answers go on side by side from the first token
    options_.batch = static_cast<int>(tokens.size());
    options_.sampling.temperature = 0;
  }

  void answer() { static_cast<void>(answers(1)); }

  void run(Measured& measured) {
    std::vector<Clock::time_point> steps;
    // the first token is of reading the prompts
    const std::vector<Generation> all = answers(
        test_.generate + 1, [&](std::int64_t, std::int64_t) { steps.push_back(Clock::now()); });
    for (const Generation& answer : all) {
      if (std::ssize(answer.tokens) > test_.generate) continue;
      throw Error(ErrorKind::invalid,
                  fmt::format("{}: the model ends an answer after {} of {} tokens; --n-gen has to "
                              "be less",
                              test_name(test_, false), answer.tokens.size(), test_.generate + 1));
    }
    for (std::size_t i = 1; i < steps.size(); ++i) {
      measured.latencies.push_back(seconds_between(steps[i - 1], steps[i]));
    }
    measured.runs.push_back(seconds_between(steps.front(), steps.back()));
  }

 private:
  std::vector<Generation> answers(int tokens, OnProgress progress = nullptr) {
    for (BatchPrompt& prompt : prompts_) prompt.max_tokens = tokens;
    BatchOptions options = options_;
    options.progress = std::move(progress);
    return generate_batch(model_, prompts_, options);
  }

  const Model& model_;
  Test test_;
  std::vector<BatchPrompt> prompts_;
  BatchOptions options_;
};

// An encoder at work on one test.
class Embedder {
 public:
  Embedder(Model& model, const Test& test, KvType /*kv_type*/) : model_(model) {
    for (const int length : test.lengths()) {
      texts_.push_back(some_tokens(length, model.text().vocab_size));
    }
  }

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
  return encoder             ? measure_as<Embedder>(path, options, test, kv_type, repetitions)
         : test.parallel > 1 ? measure_as<Together>(path, options, test, kv_type, repetitions)
                             : measure_as<Language>(path, options, test, kv_type, repetitions);
}

}  // namespace attn::bench
