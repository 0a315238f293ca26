#include "models/words.hpp"

#include "attn/error.hpp"
#include "runtime/formats/text.hpp"

#include <algorithm>

namespace attn::models {

std::vector<std::string> split_words(std::string_view sentence) {
  constexpr std::string_view blanks = " \t\n\r\v\f";
  std::vector<std::string> words;
  for (std::size_t at = sentence.find_first_not_of(blanks); at != std::string_view::npos;) {
    const std::size_t end = std::min(sentence.find_first_of(blanks, at), sentence.size());
    words.emplace_back(sentence.substr(at, end - at));
    at = sentence.find_first_not_of(blanks, end);
  }
  return words;
}

Vocabulary::Vocabulary(std::vector<std::string> words) : words_(std::move(words)) {
  for (std::size_t i = 0; i < words_.size(); ++i) {
    if (!ids_.emplace(words_[i], static_cast<std::int32_t>(i)).second) {
      throw Error(ErrorKind::invalid,
                  "vocabulary: the word " + runtime::quote(words_[i]) + " stands twice");
    }
  }
}

Vocabulary Vocabulary::of(std::string_view sentence) {
  Vocabulary vocabulary;
  for (std::string& word : split_words(sentence)) {
    const auto id = static_cast<std::int32_t>(vocabulary.words_.size());
    if (vocabulary.ids_.emplace(word, id).second) vocabulary.words_.push_back(std::move(word));
  }
  return vocabulary;
}

std::vector<std::int32_t> Vocabulary::encode(std::string_view sentence) const {
  std::vector<std::int32_t> ids;
  for (const std::string& word : split_words(sentence)) {
    const auto found = ids_.find(word);
    if (found == ids_.end()) {
      throw Error(ErrorKind::invalid, "sentence: the word " + runtime::quote(word) +
                                          " is not in the vocabulary of " +
                                          std::to_string(words_.size()) + " words");
    }
    ids.push_back(found->second);
  }
  if (ids.empty()) throw Error(ErrorKind::invalid, "sentence: it has no words");
  return ids;
}

}  // namespace attn::models
