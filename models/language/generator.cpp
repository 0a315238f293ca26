#include "attn/generator.hpp"

#include "models/clock.hpp"
#include "models/language/answer.hpp"
#include "models/language/decoder.hpp"
#include "models/language/free_memory.hpp"
#include "models/language/lookup.hpp"
#include "models/language/prompts.hpp"
#include "models/model_impl.hpp"

#include <algorithm>
#include <cmath>

namespace attn {

using models::errors_of_ours;

namespace {

// log Σ exp of the logits, in float64: perplexity sums many of its differences.
double log_sum_exp(std::span<const float> logits) {
  const auto largest = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - largest);
  return largest + std::log(sum);
}

}  // namespace

class ATTN_LOCAL Generator::Impl {
 public:
  Impl(const Model& model, const GeneratorOptions& options)
      : model_(model.self()),
        context_(models::checked_context(model_.text, options.context)),
        batch_(std::min(options.batch, context_)),
        decoder_(model_.metadata, model_.specs, model_.weights, decoder_options(options)) {
    model_.tell(LogLevel::info, [&] {
      const runtime::MemoryReport& memory = decoder_.memory();
      return "generator: room for " + std::to_string(context_) + " tokens in a cache of " +
             std::to_string(memory.states) + " bytes, and " + std::to_string(memory.arena) +
             " bytes of work space";
    });
  }

  [[nodiscard]] int context() const { return context_; }
  [[nodiscard]] const models::Decoder& decoder() const { return decoder_; }

  Generation generate(std::span<const std::int32_t> given, const GenerateOptions& options) {
    Generation result;
    result.prompt = models::checked_prompt(model_.text, given, context_);
    models::Answer answer(model_.tokenizer.get(), model_.text, options, context_, result);
    const auto begin = models::Clock::now();
    result.reused = keep_common(result.prompt);
    std::span<const float> logits = read(result.prompt, result.reused, options.on_prompt);
    result.prompt_seconds = models::seconds_since(begin);
    const auto decoding = models::Clock::now();
    decode(logits, answer, options.lookup, result);
    result.decode_seconds = models::seconds_since(decoding);
    return result;
  }

  void logits(std::span<const std::int32_t> given,
              const std::function<void(std::int64_t, std::span<const float>)>& each) {
    if (!each) throw Error(ErrorKind::usage, "logits: there is no function to give them to");
    const std::vector<std::int32_t> prompt = models::checked_prompt(model_.text, given, context_);
    rewind(0);
    all_logits(prompt, each);
  }

  Perplexity perplexity(std::span<const std::int32_t> tokens, const OnProgress& progress) {
    if (tokens.size() < 2) {
      throw Error(ErrorKind::invalid, "perplexity: " + std::to_string(tokens.size()) +
                                          " tokens, and each but the first of at least 2 is "
                                          "expected from those before it");
    }
    if (context_ < 2) {
      throw Error(ErrorKind::usage, "perplexity: in a context of 1 no token has one before it");
    }
    models::check_tokens(tokens, model_.text.vocab_size);
    double sum = 0;
    std::int64_t read = 0, scored = 0;
    const auto total = static_cast<std::int64_t>(tokens.size());
    for (std::size_t start = 0; start + 1 < tokens.size();) {
      const auto window = tokens.subspan(
          start, std::min(tokens.size() - start, static_cast<std::size_t>(context_)));
      rewind(0);
      all_logits(window, [&](std::int64_t position, std::span<const float> logits) {
        const auto next = static_cast<std::size_t>(position) + 1;
        if (next < window.size()) {
          sum += log_sum_exp(logits) -
                 static_cast<double>(logits[static_cast<std::size_t>(window[next])]);
          ++scored;
        }
        if (progress) progress(static_cast<std::int64_t>(start + next), total);
      });
      start += window.size();
      read += std::ssize(window);
    }
    return {read, std::exp(sum / static_cast<double>(scored))};
  }

 private:
  models::DecoderOptions decoder_options(const GeneratorOptions& given) {
    if (batch_ < 1) {
      throw Error(ErrorKind::usage, "batch: " + std::to_string(batch_) + " is below 1");
    }
    models::DecoderOptions options;
    options.context = context_;
    options.batch = batch_;
    options.kv_type = given.kv_type;
    options.session = model_.sessions_under(given.cancel);
    options.session.memory_limit = models::free_memory();
    return options;
  }

  // The decoder's place is what counts: it stays true where a run was cut short.
  void rewind(int position) {
    decoder_.rewind(position);
    held_.resize(static_cast<std::size_t>(position));
  }

  // Keeps as much of the cache as the prompt begins with, less the last token, whose logits are
  // needed.
  int keep_common(const std::vector<std::int32_t>& prompt) {
    const auto differ = std::mismatch(held_.begin(), held_.end(), prompt.begin(), prompt.end() - 1);
    const int common = static_cast<int>(differ.first - held_.begin());
    rewind(common);
    return common;
  }

  std::span<const float> forward(std::span<const std::int32_t> tokens, int wanted) {
    const std::span<const float> logits = decoder_.forward(tokens, wanted);
    held_.insert(held_.end(), tokens.begin(), tokens.end());
    return logits;
  }

  // The logits after the last token.
  std::span<const float> read(std::span<const std::int32_t> prompt, int from,
                              const OnProgress& progress) {
    std::span<const float> logits;
    const auto total = static_cast<std::int64_t>(prompt.size());
    for (auto at = static_cast<std::size_t>(from); at < prompt.size();) {
      const auto piece = prompt.subspan(at, std::min(prompt.size() - at, piece_size()));
      at += piece.size();
      logits = forward(piece, at == prompt.size() ? 1 : 0);
      if (progress) progress(static_cast<std::int64_t>(at), total);
    }
    return logits;
  }

  void all_logits(std::span<const std::int32_t> tokens,
                  const std::function<void(std::int64_t, std::span<const float>)>& each) {
    const auto vocab = static_cast<std::size_t>(decoder_.vocab_size());
    for (std::size_t at = 0; at < tokens.size();) {
      const auto piece = tokens.subspan(
          at, std::min({tokens.size() - at, piece_size(), std::size_t{models::most_wanted}}));
      const std::span<const float> logits = forward(piece, static_cast<int>(piece.size()));
      for (std::size_t i = 0; i < piece.size(); ++i) {
        each(static_cast<std::int64_t>(at + i), logits.subspan(i * vocab, vocab));
      }
      at += piece.size();
    }
  }

  [[nodiscard]] std::size_t piece_size() const { return static_cast<std::size_t>(batch_); }

  // Tokens to be read with the last one, in the hope that they are the next.
  [[nodiscard]] std::vector<std::int32_t> draft(const models::Answer& answer) const {
    const int room = context_ - static_cast<int>(answer.sequence().size());
    return models::lookup_draft(
        answer.sequence(), std::min({models::most_drafted, batch_ - 1, room, answer.wanted() - 1}));
  }

  void decode(std::span<const float> logits, models::Answer& answer, bool lookup,
              Generation& result) {
    const auto vocab = static_cast<std::size_t>(decoder_.vocab_size());
    std::vector<std::int32_t> read;  // whose logits these are, after the prompt
    std::size_t row = 0;
    while (answer.open()) {
      const std::int32_t token = answer.take(logits.subspan(row * vocab, vocab));
      const bool foretold = row + 1 < read.size() && read[row + 1] == token;
      if (foretold) ++result.accepted;
      if (foretold || !answer.open()) {
        ++row;
        continue;
      }
      rewind(static_cast<int>(answer.sequence().size()) - 1);
      read.assign(1, token);
      row = 0;
      if (lookup) {
        const std::vector<std::int32_t> next = draft(answer);
        read.insert(read.end(), next.begin(), next.end());
        result.proposed += static_cast<int>(next.size());
      }
      logits = forward(read, static_cast<int>(read.size()));
      ++result.forwards;
    }
    answer.close();
  }

  const Model::Impl& model_;
  int context_, batch_;
  models::Decoder decoder_;
  std::vector<std::int32_t> held_;  // what the cache holds
};

Generator::Generator(const Model& model, const GeneratorOptions& options)
    : impl_(errors_of_ours([&] {
        if (!model.text().generates) {
          throw Error(ErrorKind::usage, "a " + model.architecture() + " model generates no text");
        }
        return std::make_unique<Impl>(model, options);
      })) {}
Generator::Generator(Generator&&) noexcept = default;
Generator& Generator::operator=(Generator&&) noexcept = default;
Generator::~Generator() = default;

Generator::Impl& Generator::self() const {
  if (!impl_) throw Error(ErrorKind::usage, "this generator was moved from");
  return *impl_;
}

int Generator::context() const { return self().context(); }

Generation Generator::generate(std::span<const std::int32_t> prompt,
                               const GenerateOptions& options) {
  return errors_of_ours([&] { return self().generate(prompt, options); });
}

void Generator::logits(
    std::span<const std::int32_t> prompt,
    const std::function<void(std::int64_t position, std::span<const float>)>& each) {
  errors_of_ours([&] { self().logits(prompt, each); });
}

Perplexity Generator::perplexity(std::span<const std::int32_t> tokens, const OnProgress& progress) {
  return errors_of_ours([&] { return self().perplexity(tokens, progress); });
}

std::vector<OpProfile> Generator::profile() const {
  return errors_of_ours([&] { return self().decoder().profile(); });
}

}  // namespace attn
