#pragma once

// Examples for fine-tuning, read from files. Everything throws attn::Error and nothing else; any
// number of threads may read for one model at the same time.
//
// A file is JSON Lines if its first line that is not blank is a JSON object, or begins like one, or
// if its name ends in .jsonl; otherwise it is text. Errors of a line call it "FILE:LINE".

#include "attn/tune.hpp"

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace attn {

struct DataOptions {
  /// Tokens of an example at most; 0: what the model was trained on, at most 512.
  int context = 0;
  /// Somebody chose the context: a text that does not fill it is then an error. Otherwise it
  /// becomes one example, as short as it is.
  bool context_asked = false;
};

/// Examples of the next token. A text file is one document. A line of JSON Lines is one of
///   {"text": …}                                a document
///   {"messages": [{"role": …, "content": …}]}  a conversation in the model's chat template; only
///                                              what the assistant says is learned, up to and with
///                                              the end token; cut after `context` tokens
///   {"tokens": […], "targets": […]}            an example as it is; targets (optional) as
///                                              TuneExample's
/// Documents stand one after the other, each followed by the model's end token if it has one, and
/// are cut into examples of `context` tokens, the last of at least two. They come before the
/// examples of other lines. Throws Error(io) if the file cannot be read; Error(invalid), naming
/// file and line, for a line that is none of these, ids out of range, more tokens than `context`, a
/// conversation without an answer in its first `context` tokens, or a file without examples;
/// Error(usage) for text and a model without tokenizer, or messages and one without chat template.
[[nodiscard]] ATTN_API std::vector<TuneExample> language_examples(const Model& model,
                                                                  const std::filesystem::path& file,
                                                                  const DataOptions& options = {});

/// A sentence and the words of it that are to be looked at.
struct AttentionSentence {
  std::string text;
  std::vector<std::string> look_at;
  std::string name;  ///< what errors call it; may be empty
};

/// The example of a sentence, tokenized as a prompt is. Words are what stands between blanks; a
/// token belongs to the word of its characters, one of blanks to the word after them. A word of
/// look_at stands for every word of the sentence that is like it, or is but for the punctuation
/// around it ("too" for "too."). Throws Error(invalid), naming the sentence, for one of more than
/// `context` tokens, a word that it lacks, no words, or no others; Error(usage) for a model without
/// tokenizer.
[[nodiscard]] ATTN_API TuneExample attention_example(const Model& model,
                                                     const AttentionSentence& sentence,
                                                     const DataOptions& options = {});

/// The same of a file: a sentence a line, or JSON Lines of {"text": …, "size_words": […]}.
/// `look_at` stands for the size words of lines without their own. Throws besides Error(io).
[[nodiscard]] ATTN_API std::vector<TuneExample> attention_examples(
    const Model& model, const std::filesystem::path& file, std::span<const std::string> look_at,
    const DataOptions& options = {});

/// Pairs of texts: lines of A, tab, B and, if wanted, tab and score; or JSON Lines of {"a", "b",
/// "score"} (or "sentence1", "sentence2"). Scores are in [−1, 1], of all pairs or of none. Texts
/// are cut to `context` tokens, and to what the model was made for. Throws Error(io);
/// Error(invalid), naming file and line; Error(usage) for a model without tokenizer.
[[nodiscard]] ATTN_API std::vector<TuneExample> similarity_examples(
    const Model& model, const std::filesystem::path& file, const DataOptions& options = {});

struct SplitExamples {
  std::vector<TuneExample> train, held_out;
};

/// Keeps a share of the examples, in (0, 1), to evaluate on: chosen by the seed, at least one, and
/// one at least left to train on, both in their old order. Throws Error(usage) for another share,
/// Error(invalid) for fewer than two examples.
[[nodiscard]] ATTN_API SplitExamples split_held_out(std::vector<TuneExample> examples, double share,
                                                    std::uint64_t seed);

/// Tokens of the longest example, both texts of a pair counted alone; 0 if there is none.
[[nodiscard]] ATTN_API int longest_example(std::span<const TuneExample> examples);

}  // namespace attn
