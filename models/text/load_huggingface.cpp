// A tokenizer out of tokenizer.json (https://github.com/huggingface/tokenizers) and the files
// beside it.

#include "attn/error.hpp"
#include "models/text/tokenizer_spec.hpp"
#include "runtime/formats/json.hpp"
#include "runtime/formats/text.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <unordered_map>

namespace attn::models {
namespace {

using runtime::Json;
using runtime::json_member;
using runtime::json_string;
using runtime::quote;

struct PatternRow {
  std::string_view pattern, kind;
};
// The patterns of Split that are known, by their exact texts.
constexpr std::array<PatternRow, 5> patterns{{
    {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", "gpt2"},
    {R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", "gpt2"},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     "llama3"},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     "qwen2"},
    {R"(\p{N})", "digits"},
}};

class Loader {
 public:
  Loader(const HuggingFaceTexts& texts) : texts_(texts), where_(texts.name + "/tokenizer.json") {}

  TokenizerSpec load() {
    const Json root = runtime::parse_json(texts_.tokenizer, where_);
    const Json& model = json_member(root, "model", where_);
    // added tokens may stand beside the vocabulary
    read_model(model, present(root, "added_tokens"));
    if (const Json* added = present(root, "added_tokens")) read_added(*added);
    if (const Json* normalizer = present(root, "normalizer")) read_normalizer(*normalizer);
    if (const Json* pre = present(root, "pre_tokenizer")) read_pre_tokenizer(*pre);
    if (const Json* post = present(root, "post_processor")) read_post_processor(*post);
    if (const Json* decoder = present(root, "decoder")) {
      if (type_of(*decoder, "decoder") == "ByteLevel") spec_.byte_level = true;
    }
    read_config();
    return std::move(spec_);
  }

 private:
  [[noreturn]] void fail(const std::string& problem) const {
    throw Error(ErrorKind::invalid, where_ + ": " + problem);
  }
  static const Json* present(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found == object.end() || found->is_null() ? nullptr : &*found;
  }
  [[nodiscard]] std::string type_of(const Json& object, const std::string& what) const {
    return json_string(json_member(object, "type", where_ + ": " + what),
                       where_ + ": " + what + ": type");
  }
  [[nodiscard]] std::string text(const Json& object, const char* key) const {
    return json_string(json_member(object, key, where_), where_ + ": " + key);
  }
  [[nodiscard]] std::string text_or(const Json& object, const char* key,
                                    const char* otherwise) const {
    const Json* value = present(object, key);
    return value == nullptr ? otherwise : json_string(*value, where_ + ": " + key);
  }
  [[nodiscard]] bool flag(const Json& object, const char* key, bool otherwise) const {
    const Json* value = present(object, key);
    if (value == nullptr) return otherwise;
    if (!value->is_boolean()) fail(std::string(key) + ": is no bool");
    return value->get<bool>();
  }
  [[nodiscard]] std::int32_t id(const Json& value, const std::string& what) const {
    const std::int64_t number = runtime::json_size(value, where_ + ": " + what);
    constexpr std::int64_t most = 1 << 26;  // no vocabulary is larger
    if (number > most) {
      fail(what + ": id " + std::to_string(number) + " is above " + std::to_string(most));
    }
    return static_cast<std::int32_t>(number);
  }

  // An id far beyond the tokens there are would only cost memory; some vocabularies have gaps.
  void place(std::int32_t id, const std::string& piece, std::size_t tokens) {
    const auto at = static_cast<std::size_t>(id);
    constexpr std::size_t gaps = 1 << 16;
    if (at >= 2 * tokens + gaps) {
      fail("id " + std::to_string(id) + " in a vocabulary of " + std::to_string(tokens) +
           " tokens");
    }
    if (at >= spec_.pieces.size()) spec_.pieces.resize(at + 1);
    std::string& there = spec_.pieces[at];
    if (!there.empty() && there != piece) {
      fail("id " + std::to_string(id) + " is given to " + quote(there) + " and to " + quote(piece));
    }
    there = piece;
  }

  void read_model(const Json& model, const Json* added) {
    const std::string type = type_of(model, "model");
    if (type == "Unigram") {
      spec_.model = TokenizerModel::unigram;
      read_unigram(model);
    } else {
      const Json& vocabulary = json_member(model, "vocab", where_ + ": model");
      if (!vocabulary.is_object()) fail("model: vocab: is no object");
      for (const auto& [piece, value] : vocabulary.items()) {
        place(id(value, "vocab"), piece, vocabulary.size());
      }
    }
    if (added != nullptr && added->is_array()) {
      // of what there is before them: each would raise the limit of the next
      const std::size_t tokens = spec_.pieces.size() + added->size();
      for (const Json& token : *added) {
        place(id(json_member(token, "id", where_), "added_tokens"), text(token, "content"), tokens);
      }
    }
    for (std::size_t i = 0; i < spec_.pieces.size(); ++i) {
      ids_.emplace(spec_.pieces[i], static_cast<std::int32_t>(i));
    }
    spec_.byte_fallback = flag(model, "byte_fallback", false);
    if (type == "BPE") {
      read_bpe(model);
    } else if (type == "WordPiece") {
      spec_.model = TokenizerModel::wordpiece;
      spec_.special_in_text = true;
      spec_.continuing_prefix = text_or(model, "continuing_subword_prefix", "##");
      if (const Json* most = present(model, "max_input_chars_per_word")) {
        spec_.longest_word = runtime::json_size(*most, where_ + ": max_input_chars_per_word");
      }
      spec_.unknown = token(text_or(model, "unk_token", "[UNK]"), "unk_token");
    } else if (type != "Unigram") {
      fail("model: the type " + quote(type) + " is none of BPE, WordPiece, Unigram");
    }
  }

  [[nodiscard]] std::int32_t token(const std::string& piece, const std::string& what) const {
    const auto found = ids_.find(piece);
    if (found == ids_.end()) fail(what + ": " + quote(piece) + " is not in the vocabulary");
    return found->second;
  }

  void read_unigram(const Json& model) {
    const Json& vocabulary = json_member(model, "vocab", where_ + ": model");
    if (!vocabulary.is_array()) fail("model: vocab: is no array");
    for (const Json& entry : vocabulary) {
      if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() ||
          !entry[1].is_number()) {
        fail("model: vocab: holds " + runtime::json_text(entry) + ", not a piece and its score");
      }
      spec_.pieces.push_back(entry[0].get<std::string>());
      spec_.scores.push_back(entry[1].get<double>());
    }
    if (const Json* unknown = present(model, "unk_id")) spec_.unknown = id(*unknown, "unk_id");
  }

  void read_bpe(const Json& model) {
    spec_.model = TokenizerModel::bpe;
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      if (!text_or(model, key, "").empty())
        fail(std::string("model: ") + key + ": is not known here");
    }
    spec_.ignore_merges = flag(model, "ignore_merges", false);
    if (present(model, "unk_token") != nullptr) {
      spec_.unknown = token(text(model, "unk_token"), "unk_token");
    }
    const Json& merges = json_member(model, "merges", where_ + ": model");
    if (!merges.is_array()) fail("model: merges: is no array");
    for (std::size_t i = 0; i < merges.size(); ++i) {
      const Json& merge = merges[i];
      std::string left, right;
      if (merge.is_string()) {
        const std::string both = merge.get<std::string>();
        const std::size_t blank = both.find(' ', 1);
        left = both.substr(0, blank);
        if (blank != std::string::npos) right = both.substr(blank + 1);
      } else if (merge.is_array() && merge.size() == 2) {
        left = json_string(merge[0], where_ + ": merges");
        right = json_string(merge[1], where_ + ": merges");
      }
      const std::string what = "merge " + std::to_string(i);
      spec_.merges.emplace_back(token(left, what), token(right, what));
    }
  }

  void read_added(const Json& added) {
    if (!added.is_array()) fail("added_tokens: is no array");
    for (const Json& entry : added) {
      AddedToken token;
      token.id = id(json_member(entry, "id", where_), "added_tokens");
      token.text = text(entry, "content");
      token.special = flag(entry, "special", false);
      token.strip_left = flag(entry, "lstrip", false);
      token.strip_right = flag(entry, "rstrip", false);
      token.single_word = flag(entry, "single_word", false);
      spec_.added.push_back(token);
    }
  }

  void read_normalizer(const Json& n) {
    const std::string type = type_of(n, "normalizer");
    const auto add = [&](const char* kind, std::string a = "", std::string b = "",
                         bool first = false, bool second = false) {
      spec_.normalizers.push_back({kind, std::move(a), std::move(b), first, second});
    };
    if (type == "Sequence") {
      for (const Json& step : json_member(n, "normalizers", where_)) read_normalizer(step);
    } else if (type == "BertNormalizer") {
      if (flag(n, "clean_text", true)) add("bert_clean");
      if (flag(n, "handle_chinese_chars", true)) add("bert_chinese");
      const bool lower = flag(n, "lowercase", true);
      if (flag(n, "strip_accents", lower)) {
        add("nfd");
        add("strip_accents");
      }
      if (lower) add("lowercase");
    } else if (type == "NFC") {
      add("nfc");
    } else if (type == "NFD") {
      add("nfd");
    } else if (type == "NFKC") {
      add("nfkc");
    } else if (type == "NFKD") {
      add("nfkd");
    } else if (type == "Lowercase") {
      add("lowercase");
    } else if (type == "StripAccents") {
      add("strip_accents");
    } else if (type == "Strip") {
      add("strip", "", "", flag(n, "strip_left", true), flag(n, "strip_right", true));
    } else if (type == "Prepend") {
      add("prepend", text(n, "prepend"));
    } else if (type == "Replace") {
      const Json& pattern = json_member(n, "pattern", where_);
      if (present(pattern, "String") == nullptr) {
        fail("normalizer: Replace: the pattern " + pattern.dump() + " is not known here");
      }
      add("replace", text(pattern, "String"), text(n, "content"));
    } else {
      fail("normalizer: the type " + quote(type) + " is not known here");
    }
  }

  void read_pre_tokenizer(const Json& p) {
    const std::string type = type_of(p, "pre_tokenizer");
    const auto add = [&](std::string kind, bool flag = true) {
      spec_.pre_tokenizers.push_back({std::move(kind), "", "", flag, false});
    };
    if (type == "Sequence") {
      for (const Json& step : json_member(p, "pretokenizers", where_)) read_pre_tokenizer(step);
    } else if (type == "ByteLevel") {
      spec_.byte_level = true;
      if (flag(p, "add_prefix_space", true)) add("prefix_space");
      if (flag(p, "use_regex", true)) add("gpt2");
    } else if (type == "Digits") {
      add("digits", flag(p, "individual_digits", false));
    } else if (type == "BertPreTokenizer") {
      add("bert");
    } else if (type == "Whitespace") {
      add("whitespace");
    } else if (type == "WhitespaceSplit") {
      add("whitespace_split");
    } else if (type == "Punctuation") {
      if (text_or(p, "behavior", "Isolated") != "Isolated") {
        fail("pre_tokenizer: Punctuation: behavior " + quote(text(p, "behavior")) +
             " is not known here");
      }
      add("punctuation");
    } else if (type == "Metaspace") {
      const bool prefix = flag(p, "add_prefix_space", true);
      spec_.pre_tokenizers.push_back({"metaspace", text_or(p, "replacement", metaspace_sign),
                                      text_or(p, "prepend_scheme", prefix ? "always" : "never"),
                                      flag(p, "split", true), false});
    } else if (type == "Split") {
      read_split(p);
    } else {
      fail("pre_tokenizer: the type " + quote(type) + " is not known here");
    }
  }

  void read_split(const Json& p) {
    const Json& pattern = json_member(p, "pattern", where_);
    const std::string regex = text_or(pattern, "Regex", "");
    const auto* const row = std::find_if(patterns.begin(), patterns.end(),
                                         [&](const PatternRow& r) { return r.pattern == regex; });
    if (row == patterns.end()) {
      fail("pre_tokenizer: Split: the pattern " + pattern.dump() + " is not known here");
    }
    const std::string behavior = text_or(p, "behavior", "");
    // what these patterns do not match is nothing, but for single digits
    const bool removed = behavior == "Removed" && row->kind != "digits";
    if (behavior != "Isolated" && !(removed && flag(p, "invert", false))) {
      fail("pre_tokenizer: Split: behavior " + quote(behavior) + " is not known here");
    }
    spec_.pre_tokenizers.push_back({std::string(row->kind), "", "", true, false});
  }

  void read_post_processor(const Json& p) {
    const std::string type = type_of(p, "post_processor");
    if (type == "Sequence") {
      for (const Json& step : json_member(p, "processors", where_)) read_post_processor(step);
    } else if (type == "TemplateProcessing") {
      read_template(p);
    } else if (type == "BertProcessing" || type == "RobertaProcessing") {
      const auto of = [&](const char* key) {
        const Json& pair = json_member(p, key, where_);
        if (!pair.is_array() || pair.size() != 2) fail(std::string("post_processor: ") + key);
        return id(pair[1], key);
      };
      spec_.prefix = {of("cls")};
      spec_.suffix = {of("sep")};
    } else if (type != "ByteLevel") {  // that one only moves offsets
      fail("post_processor: the type " + quote(type) + " is not known here");
    }
  }

  void read_template(const Json& p) {
    const Json& tokens = json_member(p, "special_tokens", where_ + ": post_processor");
    bool after = false;
    for (const Json& part : json_member(p, "single", where_ + ": post_processor")) {
      if (present(part, "Sequence") != nullptr) {
        after = true;
        continue;
      }
      const Json& special = json_member(part, "SpecialToken", where_ + ": post_processor");
      const Json& entry = json_member(tokens, text(special, "id"), where_ + ": special_tokens");
      for (const Json& value : json_member(entry, "ids", where_ + ": special_tokens")) {
        (after ? spec_.suffix : spec_.prefix).push_back(id(value, "special_tokens"));
      }
    }
  }

  // "eos_token": "</s>" or {"content": "</s>", …}; empty where there is none.
  [[nodiscard]] static std::string token_text(const Json& config, const char* key) {
    const Json* value = config.is_object() ? present(config, key) : nullptr;
    if (value != nullptr && value->is_object()) value = present(*value, "content");
    return value != nullptr && value->is_string() ? value->get<std::string>() : "";
  }

  void read_config() {
    Json config = Json::object(), map = Json::object();
    if (!texts_.tokenizer_config.empty()) {
      config = runtime::parse_json(texts_.tokenizer_config, texts_.name + "/tokenizer_config.json");
    }
    if (!texts_.special_tokens_map.empty()) {
      map =
          runtime::parse_json(texts_.special_tokens_map, texts_.name + "/special_tokens_map.json");
    }
    const auto find = [&](const char* key) {
      const std::string own = token_text(config, key);
      return own.empty() ? token_text(map, key) : own;
    };
    spec_.begin_text = find("bos_token");
    spec_.end_text = find("eos_token");
    spec_.unknown_text = find("unk_token");
    spec_.pad_text = find("pad_token");
    if (const auto begin = ids_.find(spec_.begin_text); begin != ids_.end()) {
      spec_.begin = begin->second;
    }
    if (const auto end = ids_.find(spec_.end_text); end != ids_.end()) {
      spec_.ends.push_back(end->second);
    }
    spec_.chat_template = texts_.chat_template;
    const Json* chat = present(config, "chat_template");
    if (chat == nullptr || !spec_.chat_template.empty()) return;
    if (chat->is_string()) spec_.chat_template = chat->get<std::string>();
    if (!chat->is_array()) return;
    for (const Json& named : *chat) {
      if (token_text(named, "name") == "default") {
        spec_.chat_template = token_text(named, "template");
      }
    }
  }

  const HuggingFaceTexts& texts_;
  std::string where_;
  TokenizerSpec spec_;
  std::unordered_map<std::string, std::int32_t> ids_;
};

}  // namespace

TokenizerSpec tokenizer_from_huggingface(const HuggingFaceTexts& texts) {
  return Loader(texts).load();
}

}  // namespace attn::models
