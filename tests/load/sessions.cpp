#include "load/sessions.hpp"

#include <span>

namespace attn::test {
namespace {

using Tokens = std::vector<std::int32_t>;

template <class T>
std::string bytes_in(const std::vector<T>& numbers) {
  const auto bytes = std::as_bytes(std::span(numbers));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Short and long ones, below the tiny models' 256 tokens.
Tokens prompt_of(std::size_t number) {
  Tokens tokens;
  for (std::size_t t = 0; t < 1 + number * 5 % 23; ++t) {
    tokens.push_back(static_cast<std::int32_t>((number * 37 + t * 11) % 250 + 3));
  }
  return tokens;
}

Options with_threads(int threads) {
  Options options;
  options.threads = threads;
  return options;
}

}  // namespace

Sessions::Sessions(const std::filesystem::path& data, int threads)
    : data_(data),
      options_(with_threads(threads)),
      llama_(Model::open(data / "tiny-llama", options_)),
      qwen_(Model::open(data / "tiny-qwen2", options_)) {}

std::string Sessions::run(std::size_t number) const {
  switch (number % 6) {
    case 0: return generate(llama_, number);
    case 1: return generate(qwen_, number);
    case 2: return embed(number);
    case 3: return answer_together(number);
    case 4: return cancel_tuning(number);
    default: return cancel_generating(number);
  }
}

// Some are ended by their callback, and go on from there with another prompt.
std::string Sessions::generate(const Model& model, std::size_t number) const {
  Generator generator(model, {.context = 64, .batch = 16});
  GenerateOptions options;
  options.max_tokens = 12;
  options.sampling = {.temperature = number % 2 == 0 ? 0.0 : 0.8, .seed = number};
  options.lookup = number % 3 == 0;
  std::size_t left = number % 4 == 0 ? 3 : 100;
  options.on_token = [&](const GeneratedToken&) { return --left > 0; };
  const Generation first = generator.generate(prompt_of(number), options);
  left = 100;
  const Generation second = generator.generate(prompt_of(number + 1), options);
  return std::to_string(static_cast<int>(first.finish)) + bytes_in(first.tokens) +
         bytes_in(second.tokens);
}

std::string Sessions::answer_together(std::size_t number) const {
  const std::vector<BatchPrompt> prompts{
      {prompt_of(number), 6}, {prompt_of(number + 2), 3}, {prompt_of(number + 3), 9}};
  std::string all;
  for (const Generation& each : generate_batch(llama_, prompts, {.parallel = 2, .context = 64})) {
    all += bytes_in(each.tokens);
  }
  return all;
}

std::string Sessions::embed(std::size_t number) const {
  Model bert = Model::open(data_ / "tiny-bert", options_);
  const std::vector<Tokens> texts{prompt_of(number), prompt_of(number + 1), prompt_of(number + 2)};
  return bytes_in(bert.embed(texts).values);
}

// Cancelled from another thread after a step whose bits count; when it ends is for chance to say.
std::string Sessions::cancel_tuning(std::size_t number) const {
  Model model = Model::open(data_ / "tiny-llama", options_);
  TuneOptions options;
  options.context = 32;
  options.batch_size = 2;
  options.lora.rank = 2;
  Tuner tuner(model, options);
  std::vector<TuneExample> examples(2);
  for (TuneExample& example : examples) example.tokens = prompt_of(number + 1);
  for (TuneExample& example : examples) example.tokens.insert(example.tokens.end(), {5, 6, 7});
  std::string result = bytes_in(std::vector<double>{tuner.step(examples).loss});
  std::thread other([&] { tuner.cancel(); });
  try {
    for (;;) (void)tuner.step(examples);
  } catch (const Error& error) {
    result += error.kind() == ErrorKind::cancelled ? " cancelled" : error.what();
  }
  other.join();
  return result;
}

// Cancelled wherever it is, by a token; what counts is that it goes on from there.
std::string Sessions::cancel_generating(std::size_t number) const {
  const CancelToken cancel;
  // one token at a time: bits do not depend on where it was cancelled, and so what was kept is kept
  Generator generator(llama_, {.context = 64, .batch = 1, .cancel = cancel});
  GenerateOptions options;
  options.max_tokens = 4;
  std::string result;
  std::thread other([&] { cancel.cancel(); });
  try {
    for (;;) (void)generator.generate(prompt_of(number), options);
  } catch (const Error& error) {
    result = error.kind() == ErrorKind::cancelled ? "cancelled" : error.what();
  }
  other.join();
  cancel.reset();
  return result + bytes_in(generator.generate(prompt_of(number), options).tokens);
}

std::vector<std::string> Sessions::serial(std::size_t count) const {
  std::vector<std::string> results;
  for (std::size_t s = 0; s < count; ++s) results.push_back(run(s));
  return results;
}

std::size_t Sessions::differing(const std::vector<std::string>& expected, int threads,
                                std::size_t rounds) const {
  std::atomic<std::size_t> next{0}, differ{0};
  const std::size_t count = expected.size() * rounds;
  const auto work = [&] {
    for (std::size_t s = next++; s < count; s = next++) {
      try {
        if (run(s % expected.size()) != expected[s % expected.size()]) ++differ;
      } catch (const Error&) {
        ++differ;
      }
    }
  };
  std::vector<std::thread> pool;
  for (int t = 0; t < threads; ++t) pool.emplace_back(work);
  for (std::thread& thread : pool) thread.join();
  return differ;
}

}  // namespace attn::test
