#include "attn/error.hpp"
#include "models/model_impl.hpp"
#include "models/text/unicode.hpp"
#include "models/training/data_file.hpp"
#include "models/words.hpp"
#include "runtime/formats/text.hpp"

#include <algorithm>
#include <set>

namespace attn {
namespace {

using models::count_text;
using models::refuse_data;
using runtime::quote;

/// The word without the punctuation around it.
std::string_view bare(std::string_view word) {
  std::size_t begin = word.size(), end = 0;
  for (std::size_t at = 0; at < word.size();) {
    const models::Character c = models::character_at(word, at);
    if (!models::is_punctuation(c.code)) {
      begin = std::min(begin, at);
      end = at + c.length;
    }
    at += c.length;
  }
  return begin < end ? word.substr(begin, end - begin) : std::string_view{};
}

/// The words' index by token. Tokenizers do not look across blanks, so the tokens up to the end of
/// a word are those that the text up to there has: whatever was normalized, and without knowing
/// what a token spells.
std::vector<std::int32_t> words_of_tokens(const Model& model, const models::TextTokens& text,
                                          std::string_view sentence,
                                          std::span<const std::string> words) {
  std::vector<std::int32_t> of(text.tokens.size(), -1);
  const auto first = text.tokens.begin() + static_cast<std::ptrdiff_t>(text.before);
  const auto last = text.tokens.end() - static_cast<std::ptrdiff_t>(text.after);
  std::size_t at = 0;
  auto done = first;
  for (std::size_t w = 0; w < words.size(); ++w) {
    at = sentence.find(words[w], at) + words[w].size();
    const std::vector<std::int32_t> some =
        model.tokenize(sentence.substr(0, at), {.add_special = false});
    const auto end = std::mismatch(first, last, some.begin(), some.end()).first;
    for (; done < end; ++done) {
      of[static_cast<std::size_t>(done - text.tokens.begin())] = static_cast<std::int32_t>(w);
    }
  }
  return of;
}

TuneExample example_of(const Model& model, const AttentionSentence& sentence,
                       const DataOptions& options) {
  const std::vector<std::string> words = models::split_words(sentence.text);
  if (words.empty()) refuse_data(sentence.name, "there are no words");
  if (sentence.look_at.empty()) refuse_data(sentence.name, "no word is named to be looked at");

  std::set<std::int32_t> looked_at;
  for (const std::string& wanted : sentence.look_at) {
    const std::size_t before = looked_at.size();
    bool found = false;
    for (std::size_t w = 0; w < words.size(); ++w) {
      if (words[w] != wanted && (wanted.empty() || bare(words[w]) != wanted)) continue;
      looked_at.insert(static_cast<std::int32_t>(w));
      found = true;
    }
    if (!found && looked_at.size() == before) {
      refuse_data(sentence.name,
                  "the word " + quote(wanted) + " is not in " + quote(sentence.text));
    }
  }
  if (looked_at.size() == words.size()) {
    refuse_data(sentence.name, "all words of " + quote(sentence.text) +
                                   " are to be looked at, and none is left to look away from");
  }

  const models::TextTokens text = models::text_tokens(model, sentence.text);
  if (text.tokens.size() > static_cast<std::size_t>(options.context)) {
    refuse_data(sentence.name, count_text(text.tokens.size(), "token") +
                                   ", more than a context of " + std::to_string(options.context));
  }
  TuneExample example;
  example.words = words_of_tokens(model, text, sentence.text, words);
  example.tokens = text.tokens;
  example.look_at.assign(looked_at.begin(), looked_at.end());
  example.name = sentence.name;
  for (const std::int32_t word : example.look_at) {
    if (std::find(example.words.begin(), example.words.end(), word) == example.words.end()) {
      refuse_data(sentence.name, "the tokenizer has no token for the word " +
                                     quote(words[static_cast<std::size_t>(word)]));
    }
  }
  return example;
}

std::vector<TuneExample> examples_of(const Model& model, const std::filesystem::path& file,
                                     std::span<const std::string> look_at,
                                     const DataOptions& options) {
  const models::DataFile data(file);
  std::vector<TuneExample> examples;
  data.each_line([&](std::string_view line, const std::string& where) {
    AttentionSentence sentence{std::string(line), {look_at.begin(), look_at.end()}, where};
    if (data.json_lines()) {
      const runtime::Json object = models::line_object(line, where);
      sentence.text = models::line_text(object, "text", where);
      if (object.contains("size_words")) {
        const runtime::Json& list = object.at("size_words");
        if (!list.is_array()) refuse_data(where, "size_words is no list of words");
        sentence.look_at.clear();
        for (const runtime::Json& word : list) {
          sentence.look_at.push_back(runtime::json_string(word, where + ": size_words"));
        }
      }
    }
    examples.push_back(example_of(model, sentence, options));
  });
  return examples;
}

}  // namespace

TuneExample attention_example(const Model& model, const AttentionSentence& sentence,
                              const DataOptions& options) {
  return models::errors_of_ours(
      [&] { return example_of(model, sentence, models::checked_data_options(model, options)); });
}

std::vector<TuneExample> attention_examples(const Model& model, const std::filesystem::path& file,
                                            std::span<const std::string> look_at,
                                            const DataOptions& options) {
  return models::errors_of_ours([&] {
    return examples_of(model, file, look_at, models::checked_data_options(model, options));
  });
}

}  // namespace attn
