// A tokenizer out of a GGUF file's metadata
// (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, tokenizer.ggml.*).

#include "attn/error.hpp"
#include "models/text/tokenizer_spec.hpp"
#include "runtime/formats/text.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>

namespace attn::models {
namespace {

using runtime::Gguf;

// tokenizer.ggml.token_type
enum class PieceType { normal = 1, unknown = 2, control = 3, user_defined = 4 };

// tokenizer.ggml.pre → the steps; those that llama.cpp treats alike stand together.
struct PreRow {
  std::string_view name;
  std::string_view steps;  // of pre_tokenize(), with blanks between
  bool begins = false;     // a begin token unless the file says otherwise
};
constexpr std::array<PreRow, 17> pre_tokenizers{{{"gpt-2", "gpt2"},
                                                 {"gpt2", "gpt2"},
                                                 {"phi-2", "gpt2"},
                                                 {"jina-es", "gpt2"},
                                                 {"jina-de", "gpt2"},
                                                 {"smollm", "digits gpt2"},
                                                 {"starcoder", "digits gpt2"},
                                                 {"refact", "digits gpt2"},
                                                 {"command-r", "digits gpt2"},
                                                 {"codeshell", "digits gpt2"},
                                                 {"llama3", "llama3", true},
                                                 {"llama-v3", "llama3", true},
                                                 {"llama-bpe", "llama3", true},
                                                 {"falcon3", "llama3", true},
                                                 {"qwen2", "qwen2"},
                                                 {"deepseek-r1-qwen", "qwen2"},
                                                 {"megrez", "qwen2"}}};

// Texts of tokens that end an answer, whatever the file names as the one end token.
constexpr std::array<std::string_view, 8> end_texts{
    "<|im_end|>", "<|eot_id|>", "<|end_of_text|>", "<|endoftext|>",
    "<|eom_id|>", "<|end|>",    "<end_of_turn>",   "</s>"};

[[noreturn]] void fail(const Gguf& file, const std::string& problem) {
  throw Error(ErrorKind::invalid, file.name() + ": " + problem);
}

class Loader {
 public:
  explicit Loader(const Gguf& file) : file_(file) {}

  TokenizerSpec load() {
    const std::string model(*file_.text("tokenizer.ggml.model"));
    read_pieces();
    if (model == "gpt2") {
      bytes();
    } else if (model == "llama") {
      scored();
    } else if (model == "bert") {
      wordpiece();
    } else if (model == "t5") {
      unigram();
    } else {
      fail(file_, "key 'tokenizer.ggml.model': the tokenizer " + runtime::quote(model) +
                      " is none of gpt2, llama, bert, t5");
    }
    read_specials();
    return std::move(spec_);
  }

 private:
  void read_pieces() {
    const auto pieces = file_.texts("tokenizer.ggml.tokens");
    if (!pieces) fail(file_, "key 'tokenizer.ggml.tokens' is missing");
    for (const std::string_view piece : *pieces) spec_.pieces.emplace_back(piece);
    const auto types = file_.integers("tokenizer.ggml.token_type");
    if (!types) return;
    if (types->size() != spec_.pieces.size()) {
      fail(file_, "key 'tokenizer.ggml.token_type': " + std::to_string(types->size()) +
                      " types for " + std::to_string(spec_.pieces.size()) + " tokens");
    }
    for (std::size_t i = 0; i < types->size(); ++i) {
      const auto type = static_cast<PieceType>((*types)[i]);
      const bool special = type == PieceType::control || type == PieceType::unknown;
      if ((special || type == PieceType::user_defined) && !spec_.pieces[i].empty()) {
        AddedToken token;
        token.id = static_cast<std::int32_t>(i);
        token.text = spec_.pieces[i];
        token.special = special;
        spec_.added.push_back(token);
      }
    }
  }

  [[nodiscard]] std::optional<std::int32_t> id(const char* key) const {
    const auto last = static_cast<std::int64_t>(spec_.pieces.size()) - 1;
    // some writers put 2^32 − 1 for "none"
    constexpr std::int64_t none = 0xffffffff;
    const auto value = file_.integer(key, 0, none);
    if (!value || *value == none) return std::nullopt;
    return static_cast<std::int32_t>(*file_.integer(key, 0, last));
  }

  void bytes() {
    spec_.model = TokenizerModel::bpe;
    spec_.byte_level = true;
    const auto pre = file_.text("tokenizer.ggml.pre");
    if (!pre) fail(file_, "key 'tokenizer.ggml.pre' is missing: how the text is cut is not known");
    const auto* const row = std::find_if(pre_tokenizers.begin(), pre_tokenizers.end(),
                                         [&](const PreRow& r) { return r.name == *pre; });
    if (row == pre_tokenizers.end()) {
      fail(file_, "key 'tokenizer.ggml.pre': the pre-tokenizer " + runtime::quote(*pre) +
                      " is not known here");
    }
    for (std::string_view rest = row->steps; !rest.empty();) {
      const std::size_t blank = std::min(rest.find(' '), rest.size());
      TokenizerStep step;
      step.kind = rest.substr(0, blank);
      step.flag = true;
      spec_.pre_tokenizers.push_back(step);
      rest.remove_prefix(std::min(rest.size(), blank + 1));
    }
    spec_.ignore_merges = row->steps == "llama3";
    begins_by_default_ = row->begins;
    read_merges();
  }

  void read_merges() {
    const auto merges = file_.texts("tokenizer.ggml.merges");
    if (!merges) fail(file_, "key 'tokenizer.ggml.merges' is missing");
    std::unordered_map<std::string_view, std::int32_t> ids;
    ids.reserve(spec_.pieces.size());
    for (std::size_t i = 0; i < spec_.pieces.size(); ++i) {
      ids.emplace(spec_.pieces[i], static_cast<std::int32_t>(i));
    }
    for (std::size_t i = 0; i < merges->size(); ++i) {
      const std::string_view merge = (*merges)[i];
      // a part may begin with a blank in alphabets other than GPT-2's
      const std::size_t blank = merge.find(' ', 1);
      const auto left = ids.find(merge.substr(0, blank));
      const auto right =
          blank == std::string_view::npos ? ids.end() : ids.find(merge.substr(blank + 1));
      if (left == ids.end() || right == ids.end()) {
        fail(file_, "key 'tokenizer.ggml.merges': merge " + std::to_string(i) + " " +
                        runtime::quote(merge) + " is no pair of pieces of the vocabulary");
      }
      spec_.merges.emplace_back(left->second, right->second);
    }
  }

  void read_scores() {
    const auto scores = file_.numbers("tokenizer.ggml.scores");
    if (!scores) fail(file_, "key 'tokenizer.ggml.scores' is missing");
    spec_.scores.assign(scores->begin(), scores->end());
  }

  void scored() {
    spec_.model = TokenizerModel::scored;
    spec_.byte_fallback = true;
    read_scores();
    begins_by_default_ = true;
    if (file_.boolean("tokenizer.ggml.add_space_prefix").value_or(true)) {
      spec_.normalizers.push_back({"prepend", metaspace_sign, "", false, false});
    }
    spec_.normalizers.push_back({"replace", " ", metaspace_sign, false, false});
  }

  void unigram() {
    spec_.model = TokenizerModel::unigram;
    read_scores();
    if (file_.has("tokenizer.ggml.precompiled_charsmap")) {
      fail(file_, "key 'tokenizer.ggml.precompiled_charsmap': such a normalizer is not known here");
    }
    if (file_.boolean("tokenizer.ggml.add_space_prefix").value_or(true)) {
      spec_.normalizers.push_back({"prepend", metaspace_sign, "", false, false});
    }
    spec_.normalizers.push_back({"replace", " ", metaspace_sign, false, false});
  }

  // GGUF marks pieces that begin a word, WordPiece those that do not.
  void wordpiece() {
    spec_.model = TokenizerModel::wordpiece;
    spec_.special_in_text = true;
    std::vector<bool> as_it_is(spec_.pieces.size());
    for (const AddedToken& token : spec_.added) as_it_is[static_cast<std::size_t>(token.id)] = true;
    const std::string sign = metaspace_sign;
    for (std::size_t i = 0; i < spec_.pieces.size(); ++i) {
      std::string& piece = spec_.pieces[i];
      if (as_it_is[i]) continue;
      if (piece.compare(0, sign.size(), sign) == 0) {
        piece.erase(0, sign.size());
      } else {
        piece.insert(0, spec_.continuing_prefix);
      }
    }
    for (const char* kind : {"bert_clean", "bert_chinese", "nfd", "strip_accents", "lowercase"}) {
      spec_.normalizers.push_back({kind, "", "", false, false});
    }
    spec_.pre_tokenizers.push_back({"bert", "", "", false, false});
    begins_by_default_ = true;
    ends_by_default_ = true;
  }

  void read_specials() {
    spec_.unknown = id("tokenizer.ggml.unknown_token_id");
    spec_.begin = id("tokenizer.ggml.bos_token_id");
    const auto end = id("tokenizer.ggml.eos_token_id");
    const auto separator = id("tokenizer.ggml.seperator_token_id");  // as the format spells it
    const auto text = [&](std::optional<std::int32_t> token) {
      return token ? spec_.pieces[static_cast<std::size_t>(*token)] : std::string();
    };
    spec_.begin_text = text(spec_.begin);
    spec_.end_text = text(end);
    spec_.unknown_text = text(spec_.unknown);
    spec_.pad_text = text(id("tokenizer.ggml.padding_token_id"));
    // a byte that the vocabulary lacks is left out: the "unknown" token would end the text
    if (spec_.byte_level) spec_.unknown.reset();
    const bool is_wordpiece = spec_.model == TokenizerModel::wordpiece;
    const auto first =
        is_wordpiece && !spec_.begin ? id("tokenizer.ggml.cls_token_id") : spec_.begin;
    if (file_.boolean("tokenizer.ggml.add_bos_token").value_or(begins_by_default_) && first) {
      spec_.prefix.push_back(*first);
    }
    const auto last = is_wordpiece && separator ? separator : end;
    if (file_.boolean("tokenizer.ggml.add_eos_token").value_or(ends_by_default_) && last) {
      spec_.suffix.push_back(*last);
    }
    if (is_wordpiece) {
      spec_.begin.reset();
      return;
    }
    add_end(end);
    add_end(id("tokenizer.ggml.eot_token_id"));
    for (const AddedToken& token : spec_.added) {
      const bool ends = token.special && std::find(end_texts.begin(), end_texts.end(),
                                                   token.text) != end_texts.end();
      if (ends) add_end(token.id);
    }
    spec_.chat_template = file_.text("tokenizer.chat_template").value_or("");
  }

  void add_end(std::optional<std::int32_t> token) {
    if (!token) return;
    if (std::find(spec_.ends.begin(), spec_.ends.end(), *token) == spec_.ends.end()) {
      spec_.ends.push_back(*token);
    }
  }

  const Gguf& file_;
  TokenizerSpec spec_;
  bool begins_by_default_ = false, ends_by_default_ = false;
};

}  // namespace

std::optional<TokenizerSpec> tokenizer_from_gguf(const Gguf& file) {
  const auto model = file.text("tokenizer.ggml.model");
  if (!model || *model == "none" || *model == "no_vocab") return std::nullopt;
  return Loader(file).load();
}

}  // namespace attn::models
