// A tokenizer as it travels inside a model.bin.

#include "attn/error.hpp"
#include "models/text/tokenizer_spec.hpp"
#include "runtime/formats/json.hpp"

#include <array>
#include <limits>

namespace attn::models {
namespace {

using runtime::Json;
using runtime::json_member;
using runtime::json_string;

constexpr std::array<std::string_view, 4> model_names{"bpe", "scored", "unigram", "wordpiece"};

Json step_json(const TokenizerStep& step) {
  Json json = Json::object();
  json["kind"] = step.kind;
  json["a"] = step.a;
  json["b"] = step.b;
  json["flag"] = step.flag;
  json["other"] = step.other;
  return json;
}

Json token_json(const AddedToken& token) {
  Json json = Json::object();
  json["id"] = token.id;
  json["text"] = token.text;
  json["special"] = token.special;
  json["strip_left"] = token.strip_left;
  json["strip_right"] = token.strip_right;
  json["single_word"] = token.single_word;
  return json;
}

Json optional_json(std::optional<std::int32_t> id) { return id ? Json(*id) : Json(nullptr); }

// Reads one object, naming what is wrong with it.
class Reader {
 public:
  Reader(const Json& object, std::string what) : object_(object), what_(std::move(what)) {}

  [[nodiscard]] const Json& member(const char* key) const {
    return json_member(object_, key, what_);
  }
  [[nodiscard]] const Json& array(const char* key) const {
    const Json& value = member(key);
    if (!value.is_array()) fail(key, "is no array");
    return value;
  }
  [[nodiscard]] std::string text(const char* key) const {
    return json_string(member(key), what_ + ": " + key);
  }
  [[nodiscard]] bool boolean(const char* key) const {
    const Json& value = member(key);
    if (!value.is_boolean()) fail(key, "is no bool");
    return value.get<bool>();
  }
  [[nodiscard]] std::int32_t id(const Json& value, const char* key) const {
    const std::int64_t number = runtime::json_size(value, what_ + ": " + key);
    if (number > std::numeric_limits<std::int32_t>::max()) fail(key, "is above 2147483647");
    return static_cast<std::int32_t>(number);
  }
  [[nodiscard]] std::optional<std::int32_t> optional_id(const char* key) const {
    const Json& value = member(key);
    if (value.is_null()) return std::nullopt;
    return id(value, key);
  }
  [[nodiscard]] std::vector<std::int32_t> ids(const char* key) const {
    std::vector<std::int32_t> all;
    for (const Json& value : array(key)) all.push_back(id(value, key));
    return all;
  }
  [[nodiscard]] std::vector<TokenizerStep> steps(const char* key) const {
    std::vector<TokenizerStep> all;
    for (const Json& value : array(key)) {
      const Reader step(value, what_ + ": " + key);
      all.push_back({step.text("kind"), step.text("a"), step.text("b"), step.boolean("flag"),
                     step.boolean("other")});
    }
    return all;
  }
  [[noreturn]] void fail(const char* key, const std::string& problem) const {
    throw Error(ErrorKind::invalid, what_ + ": " + key + ": " + problem);
  }

 private:
  const Json& object_;
  std::string what_;
};

}  // namespace

std::string to_json(const TokenizerSpec& spec) {
  Json object = Json::object();
  object["model"] = model_names[static_cast<std::size_t>(spec.model)];
  object["pieces"] = spec.pieces;
  object["scores"] = spec.scores;
  Json merges = Json::array();
  for (const auto& [left, right] : spec.merges) {
    merges.push_back(left);
    merges.push_back(right);
  }
  object["merges"] = std::move(merges);
  object["byte_level"] = spec.byte_level;
  object["byte_fallback"] = spec.byte_fallback;
  object["ignore_merges"] = spec.ignore_merges;
  object["unknown"] = optional_json(spec.unknown);
  object["continuing_prefix"] = spec.continuing_prefix;
  object["longest_word"] = spec.longest_word;
  Json normalizers = Json::array(), pre_tokenizers = Json::array(), added = Json::array();
  for (const TokenizerStep& step : spec.normalizers) normalizers.push_back(step_json(step));
  for (const TokenizerStep& step : spec.pre_tokenizers) pre_tokenizers.push_back(step_json(step));
  for (const AddedToken& token : spec.added) added.push_back(token_json(token));
  object["normalizers"] = std::move(normalizers);
  object["pre_tokenizers"] = std::move(pre_tokenizers);
  object["added"] = std::move(added);
  object["prefix"] = spec.prefix;
  object["suffix"] = spec.suffix;
  object["special_in_text"] = spec.special_in_text;
  object["begin"] = optional_json(spec.begin);
  object["ends"] = spec.ends;
  object["unknown_text"] = spec.unknown_text;
  object["begin_text"] = spec.begin_text;
  object["end_text"] = spec.end_text;
  object["pad_text"] = spec.pad_text;
  object["chat_template"] = spec.chat_template;
  // pieces of damaged vocabularies may be no UTF-8: then the text says so when it is read
  return object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

TokenizerSpec tokenizer_spec_from_json(std::string_view text, std::string_view what) {
  const Json object = runtime::parse_json(text, what);
  const Reader reader(object, std::string(what));
  TokenizerSpec spec;
  const std::string model = reader.text("model");
  std::size_t which = 0;
  while (which < model_names.size() && model_names[which] != model) ++which;
  if (which == model_names.size())
    reader.fail("model", "is none of bpe, scored, unigram, wordpiece");
  spec.model = static_cast<TokenizerModel>(which);
  for (const Json& piece : reader.array("pieces")) {
    spec.pieces.push_back(json_string(piece, std::string(what) + ": pieces"));
  }
  for (const Json& score : reader.array("scores")) {
    if (!score.is_number()) reader.fail("scores", "holds what is no number");
    spec.scores.push_back(score.get<double>());
  }
  const std::vector<std::int32_t> merges = reader.ids("merges");
  for (std::size_t i = 0; i + 1 < merges.size(); i += 2) {
    spec.merges.emplace_back(merges[i], merges[i + 1]);
  }
  spec.byte_level = reader.boolean("byte_level");
  spec.byte_fallback = reader.boolean("byte_fallback");
  spec.ignore_merges = reader.boolean("ignore_merges");
  spec.unknown = reader.optional_id("unknown");
  spec.continuing_prefix = reader.text("continuing_prefix");
  spec.longest_word = reader.id(reader.member("longest_word"), "longest_word");
  spec.normalizers = reader.steps("normalizers");
  spec.pre_tokenizers = reader.steps("pre_tokenizers");
  for (const Json& value : reader.array("added")) {
    const Reader token(value, std::string(what) + ": added");
    spec.added.push_back({token.id(token.member("id"), "id"), token.text("text"),
                          token.boolean("special"), token.boolean("strip_left"),
                          token.boolean("strip_right"), token.boolean("single_word")});
  }
  spec.prefix = reader.ids("prefix");
  spec.suffix = reader.ids("suffix");
  spec.special_in_text = reader.boolean("special_in_text");
  spec.begin = reader.optional_id("begin");
  spec.ends = reader.ids("ends");
  spec.unknown_text = reader.text("unknown_text");
  spec.begin_text = reader.text("begin_text");
  spec.end_text = reader.text("end_text");
  spec.pad_text = reader.text("pad_text");
  spec.chat_template = reader.text("chat_template");
  return spec;
}

}  // namespace attn::models
