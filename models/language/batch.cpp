// Many prompts at once: every forward() reads a token of each answer that is under way, and as much
// of new prompts as there is room for.

#include "attn/batch.hpp"

#include "models/clock.hpp"
#include "models/language/answer.hpp"
#include "models/language/batch_decoder.hpp"
#include "models/language/free_memory.hpp"
#include "models/language/prompts.hpp"
#include "models/model_impl.hpp"
#include "runtime/formats/text.hpp"

#include <algorithm>

namespace attn {
namespace {

using models::Clock;
using models::seconds_since;

// Rows of answers that are read together: up to 8 go through the kernels that read a weight once as
// it is stored, and a row's bits are those it has alone. Twice 8 rows take 0.6 of the time of 16.
constexpr std::size_t rows_together = 8;

/// A prompt and its answer, under way in a slot.
struct Sequence {
  Sequence(const models::Tokenizer* tokenizer, const TextInfo& text, std::size_t place, int in_slot,
           int context, GenerateOptions of_answer, Generation& to)
      : prompt(place),
        slot(in_slot),
        options(std::move(of_answer)),
        result(to),
        answer(tokenizer, text, options, context, to) {}

  [[nodiscard]] std::span<const std::int32_t> unread() const {
    return answer.sequence().subspan(read);
  }

  std::size_t prompt;
  int slot;
  GenerateOptions options;
  Generation& result;
  models::Answer answer;
  std::size_t read = 0;
  Clock::time_point begun = Clock::now();
};

}  // namespace

class Batch {
 public:
  Batch(const Model& model, std::span<const BatchPrompt> prompts, const BatchOptions& options)
      : model_(model.self()),
        prompts_(prompts),
        options_(options),
        context_(models::checked_context(model_.text, options.context)),
        results_(prompts.size()) {
    if (options.parallel < 1 || options.parallel > models::most_wanted) {
      throw Error(ErrorKind::usage, "parallel: " + std::to_string(options.parallel) +
                                        " is not in 1.." + std::to_string(models::most_wanted));
    }
    if (options.batch < 1) {
      throw Error(ErrorKind::usage, "batch: " + std::to_string(options.batch) + " is below 1");
    }
    for (std::size_t p = 0; p < prompts.size(); ++p) check(p);
    models::check_stops(options.stop);
  }

  std::vector<Generation> run() {
    if (prompts_.empty()) return {};
    make_decoder();
    while (begin_some(), !running_.empty()) step();
    return std::move(results_);
  }

 private:
  [[nodiscard]] std::string name(std::size_t prompt) const {
    const std::string& given = prompts_[prompt].name;
    return given.empty() ? "prompt " + std::to_string(prompt) : runtime::path_text(given);
  }

  void check(std::size_t place) {
    models::naming(name(place), [&] { models::check_max_tokens(prompts_[place].max_tokens); });
    try {
      const BatchPrompt& prompt = prompts_[place];
      results_[place].prompt = models::checked_prompt(model_.text, prompt.tokens, context_);
    } catch (const Error& error) {
      throw Error(ErrorKind::invalid, name(place) + ": " + error.what());
    }
  }

  void make_decoder() {
    std::int64_t longest = 0, tokens = 0;
    for (std::size_t p = 0; p < prompts_.size(); ++p) {
      const auto length = std::ssize(results_[p].prompt);
      const std::int64_t answer = prompts_[p].max_tokens < 0 ? context_ : prompts_[p].max_tokens;
      longest = std::max(longest, std::min<std::int64_t>(context_, length + answer));
      tokens += length;
    }
    models::BatchDecoderOptions options;
    options.slots = static_cast<int>(std::min(prompts_.size(), std::size_t(options_.parallel)));
    options.capacity = static_cast<int>(longest);
    options.batch =
        std::max(options.slots, static_cast<int>(std::min<std::int64_t>(options_.batch, tokens)));
    options.kv_type = options_.kv_type;
    options.session = model_.sessions_under(options_.cancel);
    options.session.memory_limit = models::free_memory();
    room_ = static_cast<std::size_t>(options.batch);
    for (int slot = options.slots; slot-- > 0;) free_.push_back(slot);
    decoder_ = std::make_unique<models::BatchDecoder>(model_.metadata, model_.specs, model_.weights,
                                                      std::move(options));
  }

  // Gives free slots to the next prompts.
  void begin_some() {
    for (; !free_.empty() && next_ < prompts_.size(); ++next_) {
      GenerateOptions options;
      options.max_tokens = prompts_[next_].max_tokens;
      options.sampling = options_.sampling;
      options.stop = options_.stop;
      running_.push_back(std::make_unique<Sequence>(model_.tokenizer.get(), model_.text, next_,
                                                    free_.back(), context_, std::move(options),
                                                    results_[next_]));
      free_.pop_back();
      decoder_->clear(running_.back()->slot);
      if (!running_.back()->answer.open()) {
        end(*running_.back());
        running_.pop_back();
      }
    }
  }

  void step() {
    pieces_.clear();
    std::size_t room = room_ - running_.size();  // a token of each, and what else there is room for
    for (const auto& sequence : running_) {
      const std::span<const std::int32_t> unread = sequence->unread();
      const std::size_t more = std::min(room, unread.size() - 1);
      room -= more;
      pieces_.push_back({sequence->slot, unread.first(1 + more), 1 + more == unread.size()});
    }
    // while nothing but answers goes on, in even groups; prompts have many rows anyway
    const bool answers = room == room_ - running_.size();
    const std::size_t count = pieces_.size();
    const std::size_t groups = answers ? (count + rows_together - 1) / rows_together : 1;
    const std::size_t each = (count + groups - 1) / groups;
    for (std::size_t at = 0; at < count; at += each) read(at, std::min(each, count - at));
    std::erase_if(running_, [](const auto& sequence) { return !sequence->answer.open(); });
    if (options_.progress) {
      options_.progress(static_cast<std::int64_t>(ended_), std::ssize(prompts_));
    }
  }

  void read(std::size_t first, std::size_t count) {
    const auto pieces = std::span(pieces_).subspan(first, count);
    const std::span<const float> logits = decoder_->forward(pieces);
    const auto vocab = static_cast<std::size_t>(decoder_->vocab_size());
    std::size_t row = 0;
    for (std::size_t p = 0; p < count; ++p) {
      Sequence& sequence = *running_[first + p];
      sequence.read += pieces[p].tokens.size();
      if (pieces[p].wanted) take(sequence, logits.subspan(row++ * vocab, vocab));
    }
  }

  void take(Sequence& sequence, std::span<const float> logits) {
    if (sequence.result.tokens.empty()) {
      sequence.result.prompt_seconds = seconds_since(sequence.begun);
    } else {
      ++sequence.result.forwards;
    }
    models::naming(name(sequence.prompt), [&] { return sequence.answer.take(logits); });
    if (!sequence.answer.open()) end(sequence);
  }

  void end(Sequence& sequence) {
    sequence.answer.close();
    sequence.result.decode_seconds = seconds_since(sequence.begun) - sequence.result.prompt_seconds;
    free_.push_back(sequence.slot);
    ++ended_;
    if (options_.on_answer) options_.on_answer(sequence.prompt, sequence.result);
  }

  const Model::Impl& model_;
  std::span<const BatchPrompt> prompts_;
  const BatchOptions& options_;
  int context_;
  std::vector<Generation> results_;
  std::unique_ptr<models::BatchDecoder> decoder_;
  std::size_t room_ = 0, next_ = 0, ended_ = 0;
  std::vector<int> free_;
  std::vector<std::unique_ptr<Sequence>> running_;
  std::vector<models::BatchDecoder::Piece> pieces_;
};

std::vector<Generation> generate_batch(const Model& model, std::span<const BatchPrompt> prompts,
                                       const BatchOptions& options) {
  return models::errors_of_ours([&] {
    if (!model.text().generates) {
      throw Error(ErrorKind::usage, "a " + model.architecture() + " model generates no text");
    }
    return Batch(model, prompts, options).run();
  });
}

}  // namespace attn
