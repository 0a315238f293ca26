#include "models/training/data_file.hpp"

#include "attn/error.hpp"
#include "runtime/formats/text.hpp"

#include <algorithm>

namespace attn::models {

using runtime::Json;

namespace {

constexpr std::string_view blanks = " \t\r\n\v\f";

std::string_view without_mark(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";  // editors leave it before UTF-8
  return text.starts_with(byte_order_mark) ? text.substr(byte_order_mark.size()) : text;
}

/// Does the line begin as an object with a member does? A program's text may begin with a brace.
bool begins_an_object(std::string_view line) {
  const std::size_t brace = line.find_first_not_of(blanks);
  if (brace == std::string_view::npos || line[brace] != '{') return false;
  const std::size_t next = line.find_first_not_of(blanks, brace + 1);
  return next != std::string_view::npos && (line[next] == '"' || line[next] == '}');
}

}  // namespace

DataFile::DataFile(const std::filesystem::path& path)
    : name_(runtime::path_text(path)),
      file_(runtime::MappedFile::open(path)),
      text_(without_mark(file_.bytes())) {
  const std::size_t first = text_.find_first_not_of(blanks);
  if (first == std::string_view::npos) refuse_data(name_, "holds nothing to learn from");
  const std::string_view line = text_.substr(first, text_.find('\n', first) - first);
  json_lines_ = path.extension() == ".jsonl" || begins_an_object(line);
}

void DataFile::each_line(
    const std::function<void(std::string_view line, const std::string& where)>& use) const {
  std::size_t number = 0;
  for (std::size_t at = 0; at < text_.size();) {
    const std::size_t end = std::min(text_.find('\n', at), text_.size());
    std::string_view line = text_.substr(at, end - at);
    at = end + 1;
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.find_first_not_of(blanks) == std::string_view::npos) continue;
    use(line, name_ + ":" + std::to_string(number));
  }
}

Json line_object(std::string_view line, const std::string& where) {
  Json object = runtime::parse_json(line, where);
  if (!object.is_object()) refuse_data(where, "is no JSON object");
  return object;
}

const std::string& line_text(const Json& object, const char* key, const std::string& where) {
  return runtime::json_string(runtime::json_member(object, key, where), where + ": " + key);
}

std::vector<std::int32_t> line_ids(const Json& object, const char* key, std::int64_t low,
                                   std::int64_t vocab, const std::string& where) {
  const Json& list = object.at(key);
  if (!list.is_array()) refuse_data(where, std::string(key) + " is no list of token ids");
  std::vector<std::int32_t> ids;
  ids.reserve(list.size());
  for (const Json& each : list) {
    // what no int64 holds is unsigned: compared as Json, 2^64 - 1 would be -1
    const bool fits = each.is_number_unsigned()
                          ? each.get<std::uint64_t>() < static_cast<std::uint64_t>(vocab)
                          : each.is_number_integer() && each.get<std::int64_t>() >= low &&
                                each.get<std::int64_t>() < vocab;
    if (!fits) {
      refuse_data(where, std::string(key) + "[" + std::to_string(ids.size()) +
                             "]: " + runtime::json_text(each) + " is no token id in " +
                             std::to_string(low) + ".." + std::to_string(vocab - 1));
    }
    ids.push_back(each.get<std::int32_t>());
  }
  return ids;
}

DataOptions checked_data_options(const Model& model, DataOptions options) {
  const TextInfo& text = model.text();
  if (!text.generates && !text.embeds) {
    throw Error(ErrorKind::usage, "a " + model.architecture() + " model reads no texts to learn");
  }
  if (options.context < 0) {
    throw Error(ErrorKind::usage, "context: " + std::to_string(options.context) + " is below 0");
  }
  constexpr std::int64_t usual = 512;  // more has to be asked for: memory grows with it
  if (options.context == 0) {
    options.context = static_cast<int>(std::min(usual, text.trained_context));
  }
  return options;
}

void refuse_data(const std::string& where, const std::string& problem) {
  throw Error(ErrorKind::invalid, where.empty() ? problem : where + ": " + problem);
}

std::string count_text(std::size_t count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

TextTokens text_tokens(const Model& model, std::string_view text) {
  TextTokens result{model.tokenize(text)};
  const std::vector<std::int32_t> plain = model.tokenize(text, {.add_special = false});
  const auto at =
      std::search(result.tokens.begin(), result.tokens.end(), plain.begin(), plain.end());
  result.before = static_cast<std::size_t>(at - result.tokens.begin());
  result.after =
      result.tokens.size() - std::min(result.tokens.size(), result.before + plain.size());
  return result;
}

}  // namespace attn::models
