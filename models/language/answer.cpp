#include "models/language/answer.hpp"

#include "attn/error.hpp"

#include <algorithm>
#include <limits>

namespace attn::models {

void check_max_tokens(int max_tokens) {
  if (max_tokens >= -1) return;
  throw Error(ErrorKind::usage, "max_tokens: " + std::to_string(max_tokens) +
                                    " is below -1, which is without a limit");
}

void check_stops(std::span<const std::string> stop) {
  if (std::find(stop.begin(), stop.end(), "") == stop.end()) return;
  throw Error(ErrorKind::usage, "stop: an empty text would end every answer");
}

Answer::Answer(const Tokenizer* tokenizer, const TextInfo& info, const GenerateOptions& options,
               int context, Generation& result)
    : info_(info),
      options_(options),
      context_(context),
      result_(result),
      sampler_(options.sampling),
      stop_(options.stop),
      sequence_(result.prompt),
      open_(options.max_tokens != 0) {
  check_max_tokens(options.max_tokens);
  check_stops(options.stop);
  if (tokenizer != nullptr) stream_.emplace(*tokenizer);
  result_.finish = Finish::length;
}

int Answer::wanted() const noexcept {
  if (options_.max_tokens < 0) return std::numeric_limits<int>::max();
  return options_.max_tokens - static_cast<int>(result_.tokens.size());
}

bool Answer::tell(std::int32_t token, const std::string& text) {
  result_.text += text;
  if (options_.on_token && !options_.on_token({token, text})) result_.finish = Finish::cancelled;
  return result_.finish != Finish::cancelled;
}

std::int32_t Answer::take(std::span<const float> logits) {
  const std::int32_t token = sampler_.sample(logits, sequence_);
  // the last token of a full context needs no room of its own: nothing is read after it
  const bool full = sequence_.size() == static_cast<std::size_t>(context_);
  sequence_.push_back(token);
  result_.tokens.push_back(token);
  const std::vector<std::int32_t>& ends = info_.end_tokens;
  if (std::find(ends.begin(), ends.end(), token) != ends.end()) {
    result_.finish = Finish::end_token;
    open_ = false;
    return token;
  }
  const std::string text = stop_.feed(stream_ ? stream_->feed(token) : "");
  if (stop_.hit()) result_.finish = Finish::stop_string;
  open_ = tell(token, text) && !stop_.hit();
  if (open_ && full) result_.finish = Finish::context_full;
  if (full || wanted() == 0) open_ = false;
  return token;
}

void Answer::close() {
  open_ = false;
  if (result_.finish == Finish::stop_string || result_.finish == Finish::cancelled ||
      result_.tokens.empty()) {
    return;  // it is said, or nobody listens
  }
  const Finish finish = result_.finish;
  std::string rest = stop_.feed(stream_ ? stream_->finish() : "");
  if (!stop_.hit()) rest += stop_.finish();
  if (!rest.empty()) (void)tell(result_.tokens.back(), rest);
  result_.finish = stop_.hit() ? Finish::stop_string : finish;
}

}  // namespace attn::models
