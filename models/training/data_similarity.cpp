#include "attn/error.hpp"
#include "models/language/prompts.hpp"
#include "models/model_impl.hpp"
#include "models/training/data_file.hpp"
#include "runtime/formats/text.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

namespace attn {
namespace {

using models::refuse_data;
using runtime::Json;

struct Pair {
  std::string a, b;
  std::optional<double> score;
};

void check_score(double score, const std::string& text, const std::string& where) {
  // a NaN is in no range
  if (!(score >= -1 && score <= 1)) refuse_data(where, "score: " + text + " is not in -1..1");
}

Pair json_pair(const Json& object, const std::string& where) {
  const bool other_names = !object.contains("a") && object.contains("sentence1");
  Pair pair{models::line_text(object, other_names ? "sentence1" : "a", where),
            models::line_text(object, other_names ? "sentence2" : "b", where),
            {}};
  if (!object.contains("score")) return pair;
  const Json& score = object.at("score");
  if (!score.is_number())
    refuse_data(where, "score: " + runtime::json_text(score) + " is no number");
  pair.score = score.get<double>();
  check_score(*pair.score, runtime::json_text(score), where);
  return pair;
}

Pair text_pair(std::string_view line, const std::string& where) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= line.size();) {
    const std::size_t end = std::min(line.find('\t', at), line.size());
    parts.emplace_back(line.substr(at, end - at));
    at = end + 1;
  }
  if (parts.size() != 2 && parts.size() != 3) {
    refuse_data(where, "has " + models::count_text(parts.size() - 1, "tab") +
                           ", and is to be two texts and perhaps a score, tabs between them");
  }
  Pair pair{parts[0], parts[1], {}};
  if (parts.size() == 2) return pair;
  double score = 0;
  const char* const end = parts[2].data() + parts[2].size();
  const auto [stop, error] = std::from_chars(parts[2].data(), end, score);
  if (error != std::errc{} || stop != end) {
    refuse_data(where, "score: " + runtime::quote(parts[2]) + " is no number");
  }
  check_score(score, parts[2], where);
  pair.score = score;
  return pair;
}

std::vector<TuneExample> read(const Model& model, const std::filesystem::path& file,
                              const DataOptions& options) {
  const std::int64_t made_for = std::max<std::int64_t>(model.text().trained_context, 1);
  const auto longest = static_cast<std::size_t>(std::min<std::int64_t>(options.context, made_for));
  const auto tokens_of = [&](const std::string& text, const std::string& where) {
    models::TextTokens whole = models::text_tokens(model, text);
    std::vector<std::int32_t> tokens = std::move(whole.tokens);
    if (tokens.empty()) refuse_data(where, "a text has no tokens");
    models::truncate(tokens, longest, whole.after);
    return tokens;
  };

  const models::DataFile data(file);
  std::vector<TuneExample> examples;
  data.each_line([&](std::string_view line, const std::string& where) {
    const Pair pair = data.json_lines() ? json_pair(models::line_object(line, where), where)
                                        : text_pair(line, where);
    TuneExample example;
    example.tokens = tokens_of(pair.a, where);
    example.other = tokens_of(pair.b, where);
    if (pair.score) example.score = *pair.score;
    example.name = where;
    if (!examples.empty() && std::isnan(examples.front().score) == pair.score.has_value()) {
      refuse_data(where, std::string(pair.score ? "has a score" : "has no score") +
                             ", unlike the pairs before it");
    }
    examples.push_back(std::move(example));
  });
  return examples;
}

}  // namespace

std::vector<TuneExample> similarity_examples(const Model& model, const std::filesystem::path& file,
                                             const DataOptions& options) {
  return models::errors_of_ours(
      [&] { return read(model, file, models::checked_data_options(model, options)); });
}

}  // namespace attn
