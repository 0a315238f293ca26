#include "attn/error.hpp"
#include "models/model_impl.hpp"
#include "models/training/data_file.hpp"
#include "runtime/formats/text.hpp"

#include <algorithm>

namespace attn {
namespace {

using models::count_text;
using models::refuse_data;
using runtime::Json;

/// Gathers the examples of a file.
class Reader {
 public:
  Reader(const Model& model, const models::DataFile& file, const DataOptions& options)
      : model_(model), file_(file), options_(options), context_(options.context) {}

  std::vector<TuneExample> read() {
    if (file_.json_lines()) {
      file_.each_line([&](std::string_view line, const std::string& where) {
        this->line(models::line_object(line, where), where);
      });
    } else {
      document(file_.text());
    }
    std::vector<TuneExample> examples = packed();
    std::move(own_.begin(), own_.end(), std::back_inserter(examples));
    return examples;
  }

 private:
  void line(const Json& object, const std::string& where) {
    if (object.contains("text")) {
      document(models::line_text(object, "text", where));
    } else if (object.contains("messages")) {
      conversation(object.at("messages"), where);
    } else if (object.contains("tokens")) {
      sequence(object, where);
    } else {
      refuse_data(where, "has none of \"text\", \"messages\" and \"tokens\"");
    }
  }

  void document(std::string_view text) {
    const std::vector<std::int32_t> tokens = model_.tokenize(text);
    stream_.insert(stream_.end(), tokens.begin(), tokens.end());
    const std::vector<std::int32_t>& ends = model_.text().end_tokens;
    if (tokens.empty() || ends.empty()) return;
    // some tokenizers put it there themselves
    if (tokens.back() != ends.front()) stream_.push_back(ends.front());
  }

  void sequence(const Json& object, const std::string& where) {
    const std::int64_t vocab = model_.text().vocab_size;
    TuneExample example;
    example.name = where;
    example.tokens = models::line_ids(object, "tokens", 0, vocab, where);
    if (example.tokens.empty()) refuse_data(where, "tokens is empty");
    if (example.tokens.size() > context_) {
      refuse_data(where, count_text(example.tokens.size(), "token") + ", more than a context of " +
                             std::to_string(context_));
    }
    if (object.contains("targets")) {
      example.targets = models::line_ids(object, "targets", -1, vocab, where);
      if (example.targets.size() != example.tokens.size()) {
        refuse_data(where, count_text(example.targets.size(), "target") + " for " +
                               count_text(example.tokens.size(), "token"));
      }
    }
    const std::vector<std::int32_t>& targets = example.targets;
    const bool nothing = targets.empty() ? example.tokens.size() < 2
                                         : std::all_of(targets.begin(), targets.end(),
                                                       [](std::int32_t t) { return t < 0; });
    if (nothing) refuse_data(where, "no token of it has another to predict");
    own_.push_back(std::move(example));
  }

  std::vector<ChatMessage> messages(const Json& list, const std::string& where) const {
    if (!list.is_array() || list.empty()) refuse_data(where, "messages is no list of messages");
    std::vector<ChatMessage> all;
    for (const Json& each : list) {
      const std::string which = where + ": messages[" + std::to_string(all.size()) + "]";
      if (!each.is_object()) refuse_data(which, "is no JSON object");
      all.push_back(
          {models::line_text(each, "role", which), models::line_text(each, "content", which)});
    }
    return all;
  }

  /// An answer begins where the template, asked for one after the messages before it, ends; and it
  /// ends with the first end token, of which no message can hold one.
  void conversation(const Json& list, const std::string& where) {
    const std::vector<ChatMessage> all = messages(list, where);
    const std::span<const ChatMessage> view(all);
    TuneExample example;
    example.name = where;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i].role != "assistant") continue;
      const std::vector<std::int32_t> before = chat(view.first(i), where);
      std::vector<std::int32_t> with = chat(view.first(i + 1), where);
      const auto begin = std::mismatch(before.begin(), before.end(), with.begin(), with.end());
      // a character on the border may have become part of another token, not more
      constexpr std::ptrdiff_t most_merged = 2;
      if (before.end() - begin.first > most_merged) {
        refuse_data(where, "messages[" + std::to_string(i) +
                               "]: the chat template does not go on from what it asks with");
      }
      const auto end = std::find_if(begin.second, with.end(), [&](std::int32_t token) {
        const auto& ends = model_.text().end_tokens;
        return std::find(ends.begin(), ends.end(), token) != ends.end();
      });
      if (end == with.end()) {
        refuse_data(where, "the chat template ends an answer with none of the model's end tokens");
      }
      if (!std::equal(example.tokens.begin(), example.tokens.end(), with.begin(),
                      with.begin() + std::min(std::ssize(with), std::ssize(example.tokens)))) {
        refuse_data(where, "messages[" + std::to_string(i) +
                               "]: the chat template writes earlier answers in another way");
      }
      const auto first = static_cast<std::size_t>(begin.second - with.begin());
      const auto last = static_cast<std::size_t>(end - with.begin());
      answer(example, std::move(with), first, last + 1);
    }
    if (example.tokens.empty()) refuse_data(where, "no message is of the role \"assistant\"");
    if (example.tokens.size() > context_) {
      example.tokens.resize(context_);
      example.targets.resize(context_);
      example.targets.back() = -1;  // its target was cut off
    }
    if (std::all_of(example.targets.begin(), example.targets.end(),
                    [](std::int32_t target) { return target < 0; })) {
      refuse_data(where, "no answer begins in its first " + std::to_string(context_) + " tokens");
    }
    own_.push_back(std::move(example));
  }

  std::vector<std::int32_t> chat(std::span<const ChatMessage> messages,
                                 const std::string& where) const {
    try {
      return model_.tokenize_chat(messages);
    } catch (const Error& error) {
      throw Error(error.kind(), where + ": " + error.what());
    }
  }

  /// The conversation up to an answer, of which positions first..last−1 are to be predicted.
  static void answer(TuneExample& example, std::vector<std::int32_t> tokens, std::size_t first,
                     std::size_t last) {
    tokens.resize(last);
    std::vector<std::int32_t> targets(last, -1);
    const std::size_t known = std::min(example.targets.size(), first);
    std::copy_n(example.targets.begin(), known, targets.begin());
    for (std::size_t i = std::max<std::size_t>(first, 1); i < last; ++i) targets[i - 1] = tokens[i];
    example.tokens = std::move(tokens);
    example.targets = std::move(targets);
  }

  std::vector<TuneExample> packed() const {
    std::vector<TuneExample> examples;
    if (own_.empty()) {
      if (stream_.size() < 2) refuse_data(file_.name(), "holds nothing to learn from");
      if (options_.context_asked && stream_.size() < context_) {
        refuse_data(file_.name(), count_text(stream_.size(), "token") +
                                      ", fewer than a context of " + std::to_string(context_));
      }
    }
    for (std::size_t at = 0; stream_.size() - at >= 2; at += context_) {
      const std::size_t count = std::min(context_, stream_.size() - at);
      const auto from = stream_.begin() + static_cast<std::ptrdiff_t>(at);
      TuneExample example;
      example.tokens.assign(from, from + static_cast<std::ptrdiff_t>(count));
      example.name =
          file_.name() + ": tokens " + std::to_string(at) + ".." + std::to_string(at + count - 1);
      examples.push_back(std::move(example));
      if (count < context_) break;
    }
    return examples;
  }

  const Model& model_;
  const models::DataFile& file_;
  const DataOptions& options_;
  std::size_t context_;
  std::vector<std::int32_t> stream_;  // the documents' tokens, one after the other
  std::vector<TuneExample> own_;      // of lines that are an example each
};

}  // namespace

std::vector<TuneExample> language_examples(const Model& model, const std::filesystem::path& file,
                                           const DataOptions& options) {
  return models::errors_of_ours([&] {
    const DataOptions checked = models::checked_data_options(model, options);
    if (checked.context < 2) {
      throw Error(ErrorKind::usage, "context: 1 token has no other to predict");
    }
    const models::DataFile data(file);
    return Reader(model, data, checked).read();
  });
}

}  // namespace attn
